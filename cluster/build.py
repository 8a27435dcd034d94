"""Build the control plane's one binary into the user's cache, once per version of its sources and of Go.

Run it as a script (`python3 cluster/build.py [--print]`), or call `built` (is it there?) and `build` (make it so).
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
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

SOURCES = Path(__file__).resolve().parent / "controlplane"
INPUTS = ("go.mod", "go.sum", "main.go", "build.sh")
PROGRESS_SECONDS = 15


class BuildError(Exception):
    """The binary cannot be built; the message says what is missing or what the compiler said."""


def built() -> Path | None:
    """Return the directory with the programs (etcd, kube-apiserver, kubectl …) when it is there, else None."""
    try:
        directory = _directory()
    except BuildError:
        return None
    return directory if (directory / "controlplane").exists() else None


def build(say: Callable[[str], None] = print) -> Path:
    """Return the directory with the programs, after building them if need be; `say` gets a line now and then."""
    directory = _directory()
    directory.parent.mkdir(parents=True, exist_ok=True)
    with open(directory.parent / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("control plane: another process is building; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        if not (directory / "controlplane").exists():
            _check_go_is_new_enough()
            _compile(directory, say)
    return directory


def cache() -> Path:
    """Return the directory below which everything of ours is kept between uses."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pipetrail"


def _directory() -> Path:
    key = hashlib.sha256()
    for name in INPUTS:
        content = (SOURCES / name).read_bytes()
        key.update(f"{name} {len(content)}\n".encode() + content)
    key.update(_go_version().encode())
    return cache() / "controlplane" / key.hexdigest()[:20]


def _go_version() -> str:
    go = shutil.which("go")
    if go is None:
        raise BuildError(f"Go {_wanted_go()} or newer is needed to build the control plane; `go` is not on PATH")
    done = subprocess.run([go, "version"], env=_environment(), capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _wanted_go() -> str:
    wanted = re.search(r"^go (\S+)$", (SOURCES / "go.mod").read_text(), re.MULTILINE)
    if wanted is None:
        raise BuildError(f"{SOURCES / 'go.mod'} has no `go` line")
    return wanted[1]


def _check_go_is_new_enough() -> None:
    version = _go_version()
    found = re.search(r"\bgo(\d+(?:\.\d+)*)", version)
    if found is None or _numbers(found[1]) < _numbers(_wanted_go()):
        raise BuildError(f"Go {_wanted_go()} or newer is needed to build the control plane; found `{version}`")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _environment() -> dict[str, str]:
    # An old Go would otherwise fetch a newer one by itself, which is neither wanted here nor possible everywhere.
    return os.environ | {"GOTOOLCHAIN": "local"}


def _compile(directory: Path, say: Callable[[str], None]) -> None:
    say("control plane: building (7 to 15 minutes on two cores with an empty Go cache, else seconds)")
    unfinished = directory.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    log_file = directory.with_suffix(".log")
    started = time.monotonic()
    with open(log_file, "wb") as log:
        compiler = subprocess.Popen(
            [SOURCES / "build.sh", unfinished],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=_environment(),
        )
        try:
            while (status := _wait(compiler)) is None:
                say(f"control plane: building, {_duration(started)} so far")
        except BaseException:
            compiler.terminate()
            compiler.wait()
            raise
    if status != 0:
        tail = "\n".join(log_file.read_text(errors="replace").splitlines()[-20:])
        raise BuildError(f"building the control plane failed (all of it is in {log_file}):\n{tail}")
    unfinished.rename(directory)
    log_file.unlink()
    say(f"control plane: built in {_duration(started)}")


def _wait(process: subprocess.Popen[bytes]) -> int | None:
    try:
        return process.wait(PROGRESS_SECONDS)
    except subprocess.TimeoutExpired:
        return None


def _duration(started: float) -> str:
    minutes, seconds = divmod(int(time.monotonic() - started), 60)
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def main() -> int:
    """Build, or with --print only say where the programs are; print the directory and return the exit code."""
    parser = argparse.ArgumentParser(description="Build the control plane for tests.")
    parser.add_argument("--print", action="store_true", help="print its directory, or exit 1 if it is not built")
    if parser.parse_args().print:
        directory = built()
    else:
        try:
            directory = build(lambda line: print(line, file=sys.stderr, flush=True))
        except BuildError as error:
            print(error, file=sys.stderr)
            return 1
    if directory is None:
        return 1
    print(directory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
