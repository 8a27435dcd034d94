"""Building the programs that tests run against, and starting programs so that none is left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cluster import build
from cluster.programs import ProgramError, Spawner, free_ports
from pipetrail.testing import leftout

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]


def test_a_killed_parent_takes_its_programs_with_it(tmp_path: Path) -> None:
    script = f"""
import pathlib, time
from cluster.programs import Spawner
spawner = Spawner()
print(spawner.spawn(["/bin/sleep", "60"], pathlib.Path({str(tmp_path / "log")!r})).pid, flush=True)
time.sleep(60)
"""
    parent = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    with parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        _await(lambda: _command(child) == "/bin/sleep")

        parent.send_signal(signal.SIGKILL)

    _await(lambda: _command(child) == "")


def test_a_program_that_ends_is_reported_with_its_last_words(tmp_path: Path) -> None:
    spawner = Spawner()
    program = spawner.spawn(["/bin/sh", "-c", "echo no such flag; exit 3"], tmp_path / "log")
    _await(lambda: not program.running)

    with pytest.raises(ProgramError, match=r"sh ended with 3 [^$]*no such flag"):
        program.check()

    program.stop()
    spawner.close()


def test_free_ports_are_not_those_in_use() -> None:
    taken = free_ports(1)[0]
    with socket.create_server(("127.0.0.1", taken)):
        assert taken not in free_ports(2000)


OF_GO = [part for part in build.PARTS if not part.java]


@pytest.mark.parametrize("part", [part for part in build.PARTS if part.java], ids=lambda part: part.folder)
def test_a_missing_maven_is_named(part: build.Part, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(build.BuildError, match=f"Maven is needed to fetch {part.name}; `mvn` is not on PATH"):
        build.build(part=part)


@pytest.mark.parametrize("part", OF_GO, ids=lambda part: part.folder)
def test_a_missing_go_is_named(part: build.Part, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))

    assert build.built(part) is None
    wanted = rf"Go \d+(\.\d+)+ or newer is needed to build the {part.name}; .* not on PATH"
    with pytest.raises(build.BuildError, match=wanted):
        build.build(part=part)


@pytest.mark.parametrize("part", OF_GO, ids=lambda part: part.folder)
def test_an_old_go_is_named(part: build.Part, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    go = tmp_path / "go"
    go.write_text("#!/bin/sh\necho go version go1.9.7 linux/amd64\n")
    go.chmod(0o755)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    with pytest.raises(build.BuildError, match=r"or newer is needed .* found `go version go1\.9\.7"):
        build.build(part=part)


def test_print_says_by_its_exit_code_whether_it_is_built(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "cluster" / "build.py"), "--print"]
    empty = os.environ | {"XDG_CACHE_HOME": str(tmp_path)}

    assert subprocess.run(command, env=empty, check=False, capture_output=True).returncode == 1


def test_one_part_that_cannot_be_built_does_not_keep_the_others_from_it(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "cluster" / "build.py"), "--release"]
    neither = os.environ | {"XDG_CACHE_HOME": str(tmp_path), "PATH": str(tmp_path)}

    done = subprocess.run(command, env=neither, check=False, capture_output=True, text=True)

    assert done.returncode == 1
    assert [part.name for part in build.PARTS if part.name not in done.stderr] == []


def test_an_unknown_part_is_refused_with_those_there_are() -> None:
    command = [sys.executable, str(ROOT / "cluster" / "build.py"), "--print", "pulumy"]

    done = subprocess.run(command, check=False, capture_output=True, text=True)

    assert done.returncode == 2
    assert "no such part: pulumy (there are: controlplane, pulumi" in done.stderr


def test_a_run_that_may_skip_nothing_misses_any_part_that_is_not_built() -> None:
    seen = leftout.LeftOut()
    for part in build.PARTS:
        seen.reasons[f"{part.name} not built (and so on)"] += 1
    seen.reasons["shared recordings not here"] += 1

    assert seen.missing() == [f"{part.name} not built (and so on)" for part in build.PARTS]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode()
    except FileNotFoundError:
        return ""


def _await(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
