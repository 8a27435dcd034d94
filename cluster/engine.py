"""Run Pulumi programs for real, with no network beyond loopback: its engine, Python host and Kubernetes provider.

`cluster.build` makes the programs. What a run keeps (state, login, plug-ins) lies in the stack's own directory, never
in the user's ~/.pulumi, and no command leaves a process behind. Read README.md for how old the provider is.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cluster import build

if TYPE_CHECKING:
    from collections.abc import Mapping

COMMAND_SECONDS = 180.0  # most take 2 to 5 s; one that waits for a missing namespace gives up after 66 s
PROVIDER = "pulumi-resource-kubernetes"


class EngineError(Exception):
    """A command of Pulumi failed, or took too long; the message has what it printed."""


@dataclass(frozen=True)
class Result:
    """How a command ended: its exit code, what it printed to stdout and to stderr, and how long it took."""

    command: str
    code: int
    output: str
    errors: str
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether it succeeded."""
        return self.code == 0

    @property
    def text(self) -> str:
        """All that it printed."""
        return self.output + self.errors

    @property
    def changes(self) -> dict[str, int]:
        """What it did to how many resources, in its own words: {"created": 1, "unchanged": 1}; empty if unsaid."""
        _, _, summary = self.output.rpartition("\nResources:\n")
        found = re.findall(r"^ +(?:[^\s\d]+ ?)?(\d+) ([a-z ]+)$", summary, re.MULTILINE)
        return {word: int(count) for count, word in found}

    def check(self) -> Result:
        """Return this, or raise EngineError if the command failed."""
        if not self.ok:
            raise EngineError(f"{self.command} ended with {self.code}:\n{self.text}")
        return self


class Engine:
    """The built programs, in the directory `programs` (what `cluster.build` made, when None).

    Raises FileNotFoundError where these or the Python package pulumi-kubernetes are missing.
    """

    def __init__(self, programs: Path | None = None) -> None:
        found = programs or build.built(build.PULUMI)
        if found is None:
            raise FileNotFoundError("the Pulumi engine is not built: run cluster/build.py")
        self.programs = found
        package = importlib.util.find_spec("pulumi_kubernetes")
        if package is None or package.origin is None:
            raise FileNotFoundError("the Python package pulumi-kubernetes is not installed")
        plugin = json.loads(Path(package.origin).with_name("pulumi-plugin.json").read_text())
        self.sdk_version = str(plugin["version"])

    @property
    def command(self) -> str:
        """The path of the command line program."""
        return str(self.programs / "pulumi")

    def make_home(self, directory: Path) -> Path:
        """Make a PULUMI_HOME in which the Kubernetes provider is installed, and return it."""
        # In a folder of the version that the SDK asks for, or the engine would look for a newer one. The provider
        # itself still says how old it is, and the engine warns of it.
        plugin = directory / "plugins" / f"resource-kubernetes-v{self.sdk_version}"
        plugin.mkdir(parents=True)
        (plugin / PROVIDER).symlink_to(self.programs / PROVIDER)
        return directory


class Stack:
    """A Python program and the stack of what it declares, in `directory` (made here) with a state of its own.

    `program` is the text, or a file, which is taken as it is. `kubeconfig` says in which cluster, and as whom; None: in
    none. `environment` is added to that of every command. Making one runs Pulumi, and raises EngineError if that fails.
    Methods of one stack must not be called at the same time: Pulumi locks its state.
    """

    def __init__(
        self,
        engine: Engine,
        directory: Path,
        program: str | Path,
        kubeconfig: Path | None = None,
        *,
        project: str = "ml-events",
        stack: str = "dev",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.engine = engine
        self.directory = directory.resolve()
        self.project = self.directory / "project"
        self.project.mkdir(parents=True)
        state = self.directory / "state"
        state.mkdir()
        home = engine.make_home(self.directory / "pulumi")
        # Nothing of the developer's own Pulumi: neither a token nor a plug-in that happens to be on PATH.
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith("PULUMI_")} | {
            "HOME": str(self.directory),
            "KUBECONFIG": str(kubeconfig or self.directory / "no.kubeconfig"),
            "PULUMI_HOME": str(home),
            "PULUMI_BACKEND_URL": f"file://{state}",
            "PULUMI_CONFIG_PASSPHRASE": "",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_IGNORE_AMBIENT_PLUGINS": "true",
            "PULUMI_OPTION_NON_INTERACTIVE": "true",
            "PULUMI_OPTION_COLOR": "never",
            "PULUMI_PYTHON_CMD": sys.executable,
            **(environment or {}),
        }
        (self.project / "Pulumi.yaml").write_text(f"name: {project}\nruntime: python\n")
        self.write(program)
        self.run("stack", "init", stack).check()

    def write(self, program: str | Path) -> None:
        """Change the program; the next command runs this one."""
        text = program.read_bytes() if isinstance(program, Path) else program.encode()
        (self.project / "__main__.py").write_bytes(text)

    def preview(self) -> Result:
        """Say what `up` would do."""
        return self.run("preview")

    def up(self, *, refresh: bool = False) -> Result:
        """Make the cluster what the program declares; with `refresh`, look first at what there is."""
        return self.run("up", "--yes", "--skip-preview", *(["--refresh"] if refresh else []))

    def refresh(self) -> Result:
        """Make the state what is in the cluster."""
        return self.run("refresh", "--yes", "--skip-preview")

    def destroy(self) -> Result:
        """Delete all that was declared."""
        return self.run("destroy", "--yes", "--skip-preview")

    def outputs(self) -> dict[str, Any]:
        """What the program exported; raises EngineError."""
        found: dict[str, Any] = json.loads(self.run("stack", "output", "--json").check().output)
        return found

    def run(self, *arguments: str, timeout: float = COMMAND_SECONDS) -> Result:
        """Run a command of Pulumi to its end; raises EngineError if it takes too long, and ends it."""
        command = f"pulumi {' '.join(arguments)}"
        # Files, not pipes: a plug-in that outlives the command would keep a pipe open, and so us waiting.
        output, errors = self.directory / "stdout", self.directory / "stderr"
        started = time.monotonic()
        with output.open("wb") as out, errors.open("wb") as err:
            process = subprocess.Popen(
                [self.engine.command, *arguments],
                cwd=self.project,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
            try:
                code = process.wait(timeout)
            except subprocess.TimeoutExpired:
                code = None
            finally:
                _end_session(process)
        result = Result(command, code or 0, _text(output), _text(errors), time.monotonic() - started)
        if code is None:
            raise EngineError(f"{command} did not end within {timeout} s:\n{result.text}")
        return result


def _text(file: Path) -> str:
    return file.read_text(errors="replace")


def _end_session(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and all in its session: Pulumi puts each plug-in into a process group of its own."""
    if process.poll() is None:
        process.kill()
        process.wait()
    # Again, until there is none: one of them could have started another in between.
    while members := [pid for pid in _pids() if _session(pid) == process.pid]:
        for pid in members:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def _pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _session(pid: int) -> int:
    """The session of a process; 0 where it has ended, even if nobody has taken note yet."""
    try:
        # After the name, which may contain anything: state, parent, group, session.
        state, _, _, session = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:4]
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return 0 if state in "ZX" else int(session)
