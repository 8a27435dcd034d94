"""Start programs that leave nothing behind: each in its own process group, killed by the kernel if we die."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# Runs in the child, between fork and the program: 1 is PR_SET_PDEATHSIG. The parent may have died before it was set.
_TIE_TO_PARENT = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
if os.getppid() != int(sys.argv[1]):
    sys.exit("parent is gone")
os.execv(sys.argv[2], sys.argv[2:])
"""


class ProgramError(Exception):
    """A program ended by itself; the message has the end of its log."""


class Spawner:
    """Starts programs from one thread that lives as long as this object.

    The kernel's promise to kill a child is bound to the *thread* that started it: without this, a program that a test
    restarts from a worker thread would die together with that thread.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="spawner")

    def spawn(self, arguments: Sequence[str], log: Path) -> Program:
        """Start a program (the first argument is its path), with everything it prints appended to `log`."""
        return Program(self._thread.submit(_spawn, arguments, log).result(), arguments[0].rpartition("/")[2], log)

    def close(self) -> None:
        """End the thread, and with it whatever still runs."""
        self._thread.shutdown()


class Program:
    """A running program; `name` and `log` are for messages."""

    def __init__(self, process: subprocess.Popen[bytes], name: str, log: Path) -> None:
        self.name = name
        self.log = log
        self._process = process

    @property
    def pid(self) -> int:
        """The process id, which is also that of its process group."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def check(self) -> None:
        """Raise ProgramError if it no longer runs."""
        if not self.running:
            tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-10:])
            raise ProgramError(f"{self.name} ended with {self._process.returncode} (log: {self.log}):\n{tail}")

    def wait_ready(self, url: str, seconds: float) -> None:
        """Return when `url` answers with success; raises ProgramError if it ends by itself, else TimeoutError."""
        until = time.monotonic() + seconds
        while True:
            with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=10):
                return
            self.check()
            if time.monotonic() > until:
                raise TimeoutError(f"{self.name} is not ready after {seconds:g} s (log: {self.log})")
            time.sleep(0.02)

    def stop(self, graceful_seconds: float = 0) -> None:
        """Kill it with its whole group, after having asked politely for `graceful_seconds`; safe to repeat."""
        if graceful_seconds and self.running:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(graceful_seconds)
        if self.running:
            os.killpg(self.pid, signal.SIGKILL)
            self._process.wait()


def free_ports(count: int) -> list[int]:
    """Return different loopback ports that nobody uses now, and that nobody is given by chance later.

    They lie below the range from which the kernel takes ports for outgoing connections. From within that range a
    client that keeps trying a stopped server's port could take the port itself, and even connect to itself.
    """
    with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
        upper = min(int(file.read().split()[0]), 32768)
    found: list[int] = []
    for port in random.sample(range(10240, upper), upper - 10240):
        with socket.socket() as probe:
            # As the servers do: a port whose old connections still linger is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise OSError(f"fewer than {count} free ports between 10240 and {upper}")


def _spawn(arguments: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    with open(log, "ab") as output:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _TIE_TO_PARENT, str(os.getpid()), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
