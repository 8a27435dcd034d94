"""Builds the Go program `floor` into the user's cache, once for each state of its source and each Go."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

SOURCE: Final = Path(__file__).with_name("floor")
INPUTS: Final = ("go.mod", "go.sum", "main.go")


class NoFloor(Exception):
    """The program cannot be had here, and why."""


def floor() -> Path:
    """The built program."""
    go = shutil.which("go")
    if go is None:
        raise NoFloor("no Go here (https://go.dev/dl); ratios are to aiohttp-floor instead")
    version = subprocess.run([go, "env", "GOVERSION"], capture_output=True, cwd=SOURCE, check=True).stdout
    inputs = [(SOURCE / name).read_bytes() for name in INPUTS]
    key = hashlib.sha256(b"\0".join([version, *inputs])).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    program = cache / "pipetrail" / "floor" / key / "floor"
    if program.exists():
        return program
    print("building floor, the client-go program to compare with (a minute or two) ...", file=sys.stderr, flush=True)
    program.parent.mkdir(parents=True, exist_ok=True)
    unfinished = program.with_suffix(f".{os.getpid()}")
    command = [go, "build", "-trimpath", "-mod=readonly", "-o", str(unfinished), "."]
    built = subprocess.run(command, cwd=SOURCE, env={**os.environ, "CGO_ENABLED": "0"}, check=False)
    if built.returncode:
        raise NoFloor("go build failed (see above); ratios are to aiohttp-floor instead")
    unfinished.replace(program)
    return program


if __name__ == "__main__":
    try:
        print(floor())
    except NoFloor as reason:
        print(f"floor skipped: {reason}", file=sys.stderr)
