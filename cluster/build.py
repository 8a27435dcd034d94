"""Build what tests run against into the user's cache, each part once per version of its sources and of its compiler.

Run it as a script (`python3 cluster/build.py [--print] [PART …]`), or call `built` (is it there?) and `build` (make it
so). A further part is a folder with Go modules, or what Maven fetches, and a build.sh, and an entry in PARTS.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parent
PROGRESS_SECONDS = 15
OLDEST_JAVA = 17


@dataclass(frozen=True)
class Part:
    """Something that is built from the sources in one folder of cluster/, by the build.sh there.

    `name` is for people, `folder` names it in the cache, too. `inputs` are the files in the folder on which the outcome
    depends. `program` is built last: where it is, all is. `patience` says how long a build takes. `release`: it is only
    for what is tested before a release, so it is only built when asked for. `java`: it is fetched by Maven for the
    newest JDK, and has nothing of Go.
    """

    name: str
    folder: str
    inputs: tuple[str, ...]
    program: str
    patience: str
    release: bool = False
    java: bool = False


def _inputs(*modules: str) -> tuple[str, ...]:
    return (*(f"{module}/{file}" for module in modules for file in ("go.mod", "go.sum")), "build.sh")


CONTROL_PLANE = Part(
    name="control plane",
    folder="controlplane",
    inputs=("go.mod", "go.sum", "main.go", "build.sh"),
    program="controlplane",
    patience="7 to 15 minutes on two cores with an empty Go cache, else seconds",
)
PULUMI = Part(
    name="Pulumi engine",
    folder="pulumi",
    inputs=_inputs("cli", "langhost", "provider"),
    program="pulumi-language-python-exec",
    patience="5 to 11 minutes on two cores with an empty Go cache, else seconds",
)
CONTROLLERS = Part(
    name="ML controllers",
    folder="controllers",
    inputs=(*_inputs("argo", "jobset", "kueue", "training-operator"), "functions.sh"),
    program="workflow-controller",
    patience="8 to 15 minutes on two cores with an empty Go cache, else seconds",
)
MORE_CONTROLLERS = Part(
    name="more ML controllers",
    folder="more-controllers",
    inputs=(*_inputs("kuberay", "tekton", "trainer"), "../controllers/functions.sh"),
    program="trainer-controller-manager",
    patience="6 to 12 minutes on two cores with an empty Go cache, else seconds",
    release=True,
)
OPENSEARCH = Part(
    name="OpenSearch",
    folder="opensearch",
    inputs=("pom.xml", "SearchNode.java", "functions.sh", "build.sh", "jvm.options"),
    program="plain/node.jar",
    patience="2 to 5 minutes: it is fetched, and started once",
    java=True,
)
ELASTICSEARCH = Part(
    name="Elasticsearch",
    folder="elasticsearch",
    inputs=("../opensearch/pom.xml", "../opensearch/SearchNode.java", "../opensearch/functions.sh", "build.sh"),
    program="plain/node.jar",
    patience="a minute: it is fetched",
    release=True,
    java=True,
)
PROMETHEUS_3 = Part(
    name="Prometheus 3",
    folder="prometheus3",
    inputs=("go.mod", "go.sum", "build.sh"),
    program="prometheus",
    patience="2 to 6 minutes on two cores with an empty Go cache, else seconds",
    release=True,
)
PARTS = (CONTROL_PLANE, PULUMI, CONTROLLERS, MORE_CONTROLLERS, OPENSEARCH, ELASTICSEARCH, PROMETHEUS_3)


class BuildError(Exception):
    """The part cannot be built; the message says what is missing or what the compiler said."""


def built(part: Part = CONTROL_PLANE) -> Path | None:
    """Return the directory with the part's programs (etcd, kube-apiserver, kubectl …) when it is there, else None."""
    try:
        directory = _directory(part)
    except BuildError:
        return None
    return directory if (directory / part.program).exists() else None


def build(say: Callable[[str], None] = print, part: Part = CONTROL_PLANE) -> Path:
    """Return the directory with the part's programs, after building them if need be; `say` gets a line now and then.

    Raises BuildError.
    """
    directory = _directory(part)
    directory.parent.mkdir(parents=True, exist_ok=True)
    with open(directory.parent / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"{part.name}: another process is building; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        if not (directory / part.program).exists():
            if part.java:
                _check_maven_is_there(part)
            else:
                _check_go_is_new_enough(part)
            _compile(part, directory, say)
    return directory


def cache() -> Path:
    """Return the directory below which everything of ours is kept between uses."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pipetrail"


def _directory(part: Part) -> Path:
    key = hashlib.sha256()
    for name in part.inputs:
        content = (ROOT / part.folder / name).read_bytes()
        key.update(f"{name} {len(content)}\n".encode() + content)
    key.update((_jdk(part).release if part.java else _go_version(part)).encode())
    return cache() / part.folder / key.hexdigest()[:20]


def _go_version(part: Part) -> str:
    go = shutil.which("go")
    if go is None:
        raise BuildError(f"Go {_wanted_go(part)} or newer is needed to build the {part.name}; `go` is not on PATH")
    done = subprocess.run([go, "version"], env=_environment(), capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _wanted_go(part: Part) -> str:
    found = []
    for name in part.inputs:
        if name.endswith("go.mod"):
            file = ROOT / part.folder / name
            wanted = re.search(r"^go (\S+)$", file.read_text(), re.MULTILINE)
            if wanted is None:
                raise BuildError(f"{file} has no `go` line")
            found.append(wanted[1])
    return max(found, key=_numbers)


def _check_go_is_new_enough(part: Part) -> None:
    version, wanted = _go_version(part), _wanted_go(part)
    found = re.search(r"\bgo(\d+(?:\.\d+)*)", version)
    if found is None or _numbers(found[1]) < _numbers(wanted):
        raise BuildError(f"Go {wanted} or newer is needed to build the {part.name}; found `{version}`")


@dataclass(frozen=True)
class Jdk:
    """A JDK: where it is, its major version, and what it says of itself, which tells one build of it from another."""

    home: Path
    major: int
    release: str


def newest_jdk(most: int | None = None) -> Jdk | None:
    """Return the newest JDK of this machine, up to version `most`; the one on PATH is often too old, or too new."""
    homes = {Path(text) for text in (os.environ.get("JAVA_HOME", ""),) if text}
    homes.update(Path("/usr/lib/jvm").glob("*"))
    if (javac := shutil.which("javac")) is not None:
        homes.add(Path(javac).resolve().parent.parent)
    found = []
    for home in sorted({home.resolve() for home in homes}):
        # A JRE has no javac, and the launcher of a server is compiled.
        if (home / "release").exists() and (home / "bin" / "javac").exists():
            release = (home / "release").read_text(errors="replace")
            version = re.search(r'^JAVA_VERSION="(\d+)', release, re.MULTILINE)
            if version is not None and int(version[1]) <= (most or int(version[1])):
                found.append(Jdk(home, int(version[1]), release))
    return max(found, key=lambda jdk: jdk.major, default=None)


def _jdk(part: Part) -> Jdk:
    found = newest_jdk()
    if found is None or found.major < OLDEST_JAVA:
        raise BuildError(f"a JDK of Java {OLDEST_JAVA} or newer is needed for {part.name}; 21 or newer is better")
    return found


def _check_maven_is_there(part: Part) -> None:
    if shutil.which("mvn") is None:
        raise BuildError(f"Maven is needed to fetch {part.name}; `mvn` is not on PATH")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _environment() -> dict[str, str]:
    # An old Go would otherwise fetch a newer one by itself, which is neither wanted here nor possible everywhere.
    return os.environ | {"GOTOOLCHAIN": "local"}


def _compile(part: Part, directory: Path, say: Callable[[str], None]) -> None:
    say(f"{part.name}: building ({part.patience})")
    unfinished = directory.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    log_file = directory.with_suffix(".log")
    started = time.monotonic()
    with open(log_file, "wb") as log:
        compiler = subprocess.Popen(
            [ROOT / part.folder / "build.sh", unfinished],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=_environment() | ({"JAVA_HOME": str(_jdk(part).home)} if part.java else {}),
        )
        try:
            while (status := _wait(compiler)) is None:
                say(f"{part.name}: building, {_duration(started)} so far")
        except BaseException:
            compiler.terminate()
            compiler.wait()
            raise
    if status != 0:
        tail = "\n".join(log_file.read_text(errors="replace").splitlines()[-20:])
        raise BuildError(f"building the {part.name} failed (all of it is in {log_file}):\n{tail}")
    unfinished.rename(directory)
    log_file.unlink()
    say(f"{part.name}: built in {_duration(started)}")


def _wait(process: subprocess.Popen[bytes]) -> int | None:
    try:
        return process.wait(PROGRESS_SECONDS)
    except subprocess.TimeoutExpired:
        return None


def _duration(started: float) -> str:
    minutes, seconds = divmod(int(time.monotonic() - started), 60)
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def main() -> int:
    """Build parts, or with --print only say where they are; print each part's directory and return the exit code."""
    folders = [part.folder for part in PARTS]
    parser = argparse.ArgumentParser(description="Build what tests run against.")
    parser.add_argument("--release", action="store_true", help="also what only a release is tested with")
    parser.add_argument("--print", action="store_true", help="print the directories; exit 1 if one is not built")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"only these of: {', '.join(folders)}")
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(folders):
        parser.error(f"no such part: {', '.join(sorted(unknown))} (there are: {', '.join(folders)})")
    complete = True
    # One after another: each keeps all cores busy by itself. One that fails is no reason to leave the others out.
    for part in PARTS:
        if part.folder in arguments.parts or (not arguments.parts and part.release <= arguments.release):
            directory = built(part) if arguments.print else _built_now(part)
            complete = complete and directory is not None
            if directory is not None:
                print(directory, flush=True)
    return 0 if complete else 1


def _built_now(part: Part) -> Path | None:
    try:
        return build(lambda line: print(line, file=sys.stderr, flush=True), part)
    except BuildError as error:
        print(error, file=sys.stderr)
        return None


if __name__ == "__main__":
    sys.exit(main())
