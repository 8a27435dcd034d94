"""Output files: whole, or not there. A file is written beside its name and takes it when it is complete."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from pipetrail.cli.failures import FAILED, Failure


def refuse_to_overwrite(path: str, force: bool, journal: str) -> None:
    """Stop before anything is lost.

    :raises Failure: when the file is there and ``force`` is not given, or when it is the journal itself.
    """
    if not os.path.exists(path):
        return
    if os.path.exists(journal) and os.path.samefile(path, journal):
        raise Failure(f"{path}: that is the journal itself", FAILED)
    if os.path.isdir(path):
        raise Failure(f"{path}: that is a folder; name a file", FAILED)
    if not force:
        raise Failure(f"{path}: there is such a file already; --force overwrites it", FAILED)


@contextmanager
def whole_file(path: str) -> Iterator[str]:
    """The name to write under; what is there when the block ends well takes the real name."""
    part = f"{path}.part"
    with suppress(FileNotFoundError):
        os.unlink(part)
    try:
        yield part
        os.replace(part, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(part)
        raise
