"""How a journal can fail to open or to write; every message names the file and the remedy."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import apsw


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


@contextmanager
def explained(path: str) -> Iterator[None]:
    """Turn SQLite's errors into ours."""
    try:
        yield
    except apsw.FullError as error:
        raise FullDisk(
            f"{path}: the disk is full; free some space or lower --max-size (what is stored is safe)"
        ) from error
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
        if isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.ENOSPC:
            raise FullDisk(f"{path}: the disk is full") from error
        raise JournalError(f"{path}: the disk failed ({error})") from error
