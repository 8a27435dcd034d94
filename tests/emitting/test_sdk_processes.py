"""A program that emits starts fast, ends in time, and says what was lost."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import pipetrail
from tests.emitting import scripted
from tests.emitting.scripted import BUSY, Scripted

if TYPE_CHECKING:
    from pathlib import Path

ABOUT = "team/pod/trainer-0"


def run(code: str, *, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a program without any pod."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("KUBERNETES_", "PIPETRAIL_"))}
    return subprocess.run(
        [sys.executable, "-c", code],
        env=plain | (environment or {}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_process_in_no_pod_sends_nothing_and_says_so_once() -> None:
    done = run(f"import pipetrail\nfor n in range(9): pipetrail.emit(f'R{{n}}', about={ABOUT!r})")

    assert done.returncode == 0
    (line,) = done.stderr.splitlines()
    assert line == (
        "pipetrail: emitted events go nowhere: this is no pod: name a kubeconfig with PIPETRAIL_KUBECONFIG or"
        " pipetrail.configure()"
    )


def test_a_process_in_no_pod_that_names_no_object_says_so_once() -> None:
    done = run("import pipetrail\nfor n in range(9): pipetrail.emit('R')")

    assert done.returncode == 0
    (line,) = done.stderr.splitlines()
    assert line.startswith("pipetrail: an event was not emitted: about: this process is in no pod")


def test_the_first_emit_imports_nothing_heavy() -> None:
    done = run(
        "import pipetrail, sys\n"
        f"pipetrail.emit('R', about={ABOUT!r})\n"
        "with pipetrail.step('s', about='team/pod/x'): pass\n"
        "heavy = ('asyncio', 'msgspec', 'yaml', 'aiohttp', 'kubernetes_asyncio', 'pipetrail.kube', 'structlog')\n"
        "print([name for name in sys.modules if name in heavy])"
    )

    assert done.stdout == "[]\n", done.stderr


def test_the_names_of_the_package_are_those_that_it_promises() -> None:
    assert all(getattr(pipetrail, name) is not None for name in pipetrail.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = pipetrail.nonsense


def test_a_process_that_ends_sends_what_is_there(server: Scripted, tmp_path: Path) -> None:
    configured = {"PIPETRAIL_KUBECONFIG": str(scripted.kubeconfig(tmp_path, server))}
    code = f"import pipetrail\nfor _ in range(7): pipetrail.emit('R', about={ABOUT!r})\npipetrail.flush(30)"
    done = run(code, environment=configured)

    assert (done.returncode, done.stderr) == (0, "")
    assert server.counts == [7]


def test_a_process_that_ends_waits_two_seconds_for_a_server_that_hangs_and_says_what_was_lost() -> None:
    # In a pod there is no login to wait for. This is registered first, so it runs last.
    code = (
        "import atexit, socket, time\n"
        "atexit.register(lambda: print(time.monotonic() - ended))\n"
        "import pipetrail\n"
        "from pipetrail.emitting import place, sdk\n"
        "server = socket.create_server(('127.0.0.1', 0))\n"
        "found = place.Server(url=f'http://127.0.0.1:{server.getsockname()[1]}')\n"
        "sdk.find_server = lambda *_: found\n"
        f"for n in range(9): pipetrail.emit(f'R{{n}}', about={ABOUT!r})\n"
        "ended = time.monotonic()"
    )
    done = run(code)

    assert done.returncode == 0
    assert 1.9 <= float(done.stdout) < 8, "much more than two seconds, even for a busy machine"
    assert done.stderr == "pipetrail: 9 emitted events were lost (9 not sent in time)\n"


def test_a_kubeconfig_that_is_not_there_is_told(tmp_path: Path) -> None:
    done = run(
        "import logging, os, pipetrail, sys, threading\n"
        "told = threading.Event()\n"
        "class Handler(logging.Handler):\n"
        "    def emit(self, record):\n"
        "        print(record.getMessage(), flush=True)\n"
        "        told.set()\n"
        "logging.getLogger('pipetrail').addHandler(Handler())\n"
        f"pipetrail.emit('R', about={ABOUT!r})\n"
        "told.wait(40)\n"
        "os._exit(0)",
        environment={"PIPETRAIL_KUBECONFIG": str(tmp_path / "absent")},
    )

    assert done.stdout.startswith("pipetrail: emitted events wait: login: no kubeconfig at")


FORKING = """
import os, sys, time
import pipetrail
pipetrail.emit("BeforeTheFork", "m", about="team/pod/x")
child = os.fork()
if child == 0:
    pipetrail.emit("InTheChild", "m", about="team/pod/x")
    os._exit(0 if pipetrail.flush(30) else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
sys.exit(0 if pipetrail.flush(30) else 1)
"""


def test_a_child_after_a_fork_sends_its_own_and_not_its_parents(server: Scripted, tmp_path: Path) -> None:
    # The parent gets no answer before it forks: its event waits.
    server.rule = lambda asked: BUSY if not forked(server) and asked.body["reason"] == "BeforeTheFork" else None
    done = subprocess.run(
        [sys.executable, "-c", FORKING],
        env=os.environ | {"PIPETRAIL_KUBECONFIG": str(scripted.kubeconfig(tmp_path, server))},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stderr.count("Traceback")) == (0, 0), done.stderr
    assert sorted(event["reason"] for event in server.stored) == ["BeforeTheFork", "InTheChild"]


def forked(server: Scripted) -> bool:
    return any(asked.body["reason"] == "InTheChild" for asked in server.asked)
