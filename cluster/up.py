"""Keep a control plane running apart from the terminal, to try things by hand: up.py up|down|status."""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script, only this file's directory is on it

from cluster import build
from cluster.controlplane import ControlPlane

if TYPE_CHECKING:
    from collections.abc import Callable

HOME = build.cache() / "cluster"
DATA = HOME / "data"
LOCK = HOME / "lock"
STATE = HOME / "state.json"
LOG = HOME / "log"
START_SECONDS = 120
STOP_SECONDS = 30


def up(nodes: int) -> int:
    """Build if need be, start, and say how to use it; fine if it runs already."""
    if not is_running():
        try:
            build.build(lambda line: print(line, flush=True))
        except build.BuildError as error:
            print(error, file=sys.stderr)
            return 1
        HOME.mkdir(parents=True, exist_ok=True)
        STATE.unlink(missing_ok=True)
        server = _detach("serve", f"--nodes={nodes}")
        if not _until(lambda: STATE.exists() or server.poll() is not None, START_SECONDS) or not STATE.exists():
            server.kill()
            print(f"The cluster did not start:\n{LOG.read_text(errors='replace')}", file=sys.stderr)
            return 1
    return status()


def down() -> int:
    """Stop it and delete its data; fine if it does not run."""
    if is_running():
        os.kill(_state()["pid"], signal.SIGTERM)
        if not _until(lambda: not is_running(), STOP_SECONDS):
            print(f"The cluster still runs after {STOP_SECONDS} s (log: {LOG})", file=sys.stderr)
            return 1
    shutil.rmtree(DATA, ignore_errors=True)
    print("The cluster is down.")
    return 0


def status() -> int:
    """Say whether it runs, and if so how to use it; exit code 1 if it does not."""
    if not is_running():
        print("No cluster is running. Start one with: make cluster")
        return 1
    state = _state()
    print(f"Kubernetes {state['version']} with {state['nodes']} simulated nodes is up at {state['url']}.")
    print(f"Its logs and data are in {DATA}.\n\nTry:")
    print(f"  export KUBECONFIG={state['kubeconfig']}")
    print("  pipetrail record\n\nand in another terminal, with the same KUBECONFIG:")
    print(f"  {state['kubectl']} create job hello --image=hello\n\nStop it with: make cluster-down")
    return 0


def serve(nodes: int) -> int:
    """Run the control plane in this process until it is told to end, holding the lock that says so."""
    HOME.mkdir(parents=True, exist_ok=True)
    with open(LOCK, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(DATA, ignore_errors=True)
        ended = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: ended.set())
        programs = build.build()
        with ControlPlane(DATA, programs=programs) as control_plane:
            control_plane.add_nodes(nodes)
            state = {
                "pid": os.getpid(),
                "nodes": nodes,
                "url": control_plane.url,
                "version": control_plane.request("GET", "/version")["gitVersion"],
                "kubeconfig": str(control_plane.kubeconfig()),
                "kubectl": str(programs / "kubectl"),
            }
            unfinished = STATE.with_suffix(".new")
            unfinished.write_text(json.dumps(state))
            unfinished.rename(STATE)
            ended.wait()
        STATE.unlink()
    return 0


def is_running() -> bool:
    """Whether a process holds the lock; a process id alone could by now belong to somebody else.

    While one has the lock but is still starting, this waits until it is up.
    """
    return _is_locked() and _until(lambda: STATE.exists() or not _is_locked(), START_SECONDS) and _is_locked()


def _is_locked() -> bool:
    with contextlib.suppress(FileNotFoundError), open(LOCK) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _detach(*arguments: str) -> subprocess.Popen[bytes]:
    with open(LOG, "wb") as log:
        return subprocess.Popen(
            [sys.executable, __file__, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _until(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _state() -> dict[str, Any]:
    state: dict[str, Any] = json.loads(STATE.read_text())
    return state


def main() -> int:
    """Do what the first argument says and return the exit code."""
    parser = argparse.ArgumentParser(description="A Kubernetes control plane with simulated nodes, on this machine.")
    parser.add_argument("command", choices=["up", "down", "status", "serve"])
    parser.add_argument("--nodes", type=int, default=3, help="how many nodes to simulate (default 3)")
    arguments = parser.parse_args()
    match arguments.command:
        case "up":
            return up(arguments.nodes)
        case "down":
            return down()
        case "status":
            return status()
        case _:
            return serve(arguments.nodes)


if __name__ == "__main__":
    sys.exit(main())
