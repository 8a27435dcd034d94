"""How a journal can fail to open or to write; every message names the file and the remedy."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import apsw

_LEAST = 65_536  # bytes: with less, a disk counts as full


class JournalError(Exception):
    """The journal can't be used as asked."""


class MissingJournal(JournalError):
    """There is no such file."""


class NewerJournal(JournalError):
    """The file was made by a newer version."""


class CorruptJournal(JournalError):
    """The file is damaged, or is no journal."""


class ReadOnlyJournal(JournalError):
    """The file or its folder can't be written."""


class FullDisk(JournalError):
    """The disk is full. What was committed is safe; the transaction at hand was not."""


class JournalBusy(JournalError):
    """Another process writes this journal."""


class NetworkDisk(JournalError):
    """The file is on a network file system, where SQLite's locks and log do not hold."""


def full(path: str) -> FullDisk:
    """The error of a disk without room."""
    return FullDisk(f"{path}: the disk is full; free some space or lower --max-size (what is stored is safe)")


@contextmanager
def explained(path: str) -> Iterator[None]:
    """Turn SQLite's errors into ours."""
    try:
        yield
    except apsw.FullError as error:
        raise full(path) from error
    except (apsw.ReadOnlyError, apsw.PermissionsError) as error:
        raise ReadOnlyJournal(
            f"{path}: it can't be written; check the owner and mode of the file and its folder"
        ) from error
    except apsw.CantOpenError as error:
        raise ReadOnlyJournal(f"{path}: it can't be opened; check that the folder exists and may be written") from error
    except (apsw.CorruptError, apsw.NotADBError) as error:
        raise CorruptJournal(
            f"{path}: it is damaged or no journal ({error}); move it away (a new one is begun) or restore a backup"
        ) from error
    except apsw.BusyError as error:
        raise JournalBusy(f"{path}: another process holds it; see who with: fuser {path}") from error
    except apsw.IOError as error:
        # SQLite says "full" of the file and its log only; where the log's index does not fit, it says "I/O error".
        if _is_full(path):
            raise full(path) from error
        raise JournalError(f"{path}: the disk failed ({error}); look for its errors with: dmesg") from error


def _is_full(path: str) -> bool:
    try:
        disk = os.statvfs(os.path.dirname(os.path.abspath(path)))
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < _LEAST
