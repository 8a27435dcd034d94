"""The real libraries, each with pipetrail's own dependencies in a virtual environment that is made once and kept.

What goes in is locked in requirements/hooks; pipetrail itself is taken from the sources, by PYTHONPATH. An environment
is named by its lock file and the version of Python, so that a renewed lock makes a new one.
"""

import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from cluster.build import cache

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / "requirements" / "hooks"
NAMES = tuple(sorted(path.stem for path in REQUIREMENTS.glob("*.txt")))

# What uv and pip say when nobody answers, as opposed to a wrong hash or a version that is not there.
_NO_NETWORK = re.compile(
    r"dns error|connection (error|refused|reset|timed out)|connect error|operation timed out|network is unreachable|"
    r"temporary failure in name resolution|error sending request|tunnel|max retries exceeded",
    re.IGNORECASE,
)


class OfflineError(Exception):
    """The packages can't be had, since the registry can't be reached."""


def python(name: str) -> Path:
    """The interpreter of an environment, which is made if need be.

    :param name: of a file in requirements/hooks, without its ending.
    :raises OfflineError: when the registry can't be reached.
    :raises AssertionError: when the packages can't be installed for another reason; the text says which.
    """
    directory = _directory(name)
    directory.parent.mkdir(parents=True, exist_ok=True)
    with open(directory.parent / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # An environment whose Python is gone is no longer one.
        if not (directory / "bin" / "python").exists():
            shutil.rmtree(directory, ignore_errors=True)
            with tempfile.TemporaryDirectory(prefix=f"{name}-", dir=directory.parent) as scratch:
                unfinished = Path(scratch) / "environment"
                _uv("venv", "--no-project", "--relocatable", "--python", sys.executable, str(unfinished))
                _uv(
                    *("pip", "sync", "--require-hashes", "--compile-bytecode"),
                    *("--python", str(unfinished / "bin" / "python"), str(REQUIREMENTS / f"{name}.txt")),
                )
                unfinished.rename(directory)
    return directory / "bin" / "python"


def download(package: str, version: str, into: Path) -> Path:
    """A wheel of a package, without what it depends on.

    :raises OfflineError: when the registry can't be reached.
    """
    _run(sys.executable, "-m", "pip", "download", "--no-deps", "--retries=1", "-d", str(into), f"{package}=={version}")
    return next(into.glob(f"{package.replace('-', '_')}-*.whl"))


def _directory(name: str) -> Path:
    key = hashlib.sha256((REQUIREMENTS / f"{name}.txt").read_bytes())
    key.update(platform.python_version().encode())
    return cache() / "hooks" / f"{name}-{key.hexdigest()[:20]}"


def _uv(*arguments: str) -> None:
    _run(sys.executable, "-m", "uv", "--quiet", *arguments)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, env=dict(os.environ))
    if done.returncode and _NO_NETWORK.search(done.stderr):
        raise OfflineError(done.stderr.strip()[-1000:])
    assert done.returncode == 0, f"{' '.join(command[1:4])}: {done.stderr[-4000:]}"
