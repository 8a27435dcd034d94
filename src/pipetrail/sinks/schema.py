"""The file `<journal>.sinks`: its tables, who may write it, and what is said when it can't be used."""

import contextlib
import fcntl
import os
from collections.abc import Iterator

import apsw

VERSION = 1
APPLICATION_ID = 0x7074736B  # "ptsk"

_TABLES = """
CREATE TABLE sinks(
  name TEXT PRIMARY KEY, type TEXT NOT NULL, read INTEGER NOT NULL, holes BLOB NOT NULL, figures BLOB NOT NULL
) STRICT;
CREATE TABLE dead_letters(
  sink TEXT NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL, reason TEXT NOT NULL, document BLOB NOT NULL,
  due INTEGER NOT NULL DEFAULT 0, PRIMARY KEY(sink, seq)
) STRICT;
CREATE INDEX due_letters ON dead_letters(sink, seq) WHERE due;
CREATE TABLE memory(
  sink TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY(sink, key)
) STRICT, WITHOUT ROWID;
"""


class StateError(Exception):
    """The file can't be used as asked; the message names it and the remedy."""


class StateBusy(StateError):
    """Another process delivers from this journal."""


def lock(path: str) -> int:
    """Become the one who delivers; returns the descriptor that holds the lock.

    :raises StateBusy: when somebody does already.
    """
    try:
        held = os.open(path + ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StateError(
            f"{path}: its folder can't be written ({error.strerror}); it stands beside the journal: see --journal"
        ) from error
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        owner = os.pread(held, 64, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(held)
        raise StateBusy(f"{path}: process {owner} delivers from this journal already; stop that one") from error
    os.ftruncate(held, 0)
    os.pwrite(held, f"{os.getpid()}\n".encode(), 0)
    return held


def open_for_writing(path: str) -> apsw.Connection:
    """Open the file, or make it.

    :raises StateError: when it is damaged, of a newer version, or can't be written.
    """
    with explained(path), contextlib.ExitStack() as undo:
        new = not os.path.exists(path) or os.path.getsize(path) == 0
        db = apsw.Connection(path)
        undo.callback(db.close)
        db.set_busy_timeout(10_000)
        if new:
            os.chmod(path, 0o600)
        version = _check(db, path)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        if not version:
            with db:
                for _ in db.execute(_TABLES):
                    pass
                db.execute(f"PRAGMA user_version = {VERSION}")
                db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        with db:  # a file that can't be written shows it now
            db.execute("UPDATE sinks SET read = read")
        undo.pop_all()
    return db


def open_for_reading(path: str) -> apsw.Connection | None:
    """Open the file beside whoever writes it; None where there is none yet.

    :raises StateError: when it is damaged, of a newer version, or can't be read.
    """
    if not os.path.exists(path) or not os.path.getsize(path):
        return None
    with explained(path), contextlib.ExitStack() as undo:
        flags = apsw.SQLITE_OPEN_READWRITE if os.access(path, os.W_OK) else apsw.SQLITE_OPEN_READONLY
        db = apsw.Connection(path, flags=flags)
        undo.callback(db.close)
        db.set_busy_timeout(5_000)
        if not _check(db, path):
            return None
        db.execute("PRAGMA query_only = 1")
        undo.pop_all()
    return db


def _check(db: apsw.Connection, path: str) -> int:
    """The version of the file, 0 for an empty one."""
    version = int(db.pragma("user_version"))
    if db.execute("SELECT count(*) FROM sqlite_schema").get and int(db.pragma("application_id")) != APPLICATION_ID:
        raise StateError(f"{path}: it is an SQLite file, but not where pipetrail keeps its sinks; move it away")
    if version > VERSION:
        raise StateError(
            f"{path}: it was made by a newer pipetrail (version {version}, this one knows {VERSION}); upgrade pipetrail"
        )
    return version


@contextlib.contextmanager
def explained(path: str) -> Iterator[None]:
    """Turn SQLite's errors into ours."""
    try:
        yield
    except apsw.FullError as error:
        raise StateError(f"{path}: the disk is full; free some space (sinks go on where they were)") from error
    except (apsw.ReadOnlyError, apsw.PermissionsError, apsw.CantOpenError) as error:
        raise StateError(f"{path}: it can't be written; check the owner and mode of the file and its folder") from error
    except (apsw.CorruptError, apsw.NotADBError) as error:
        raise StateError(
            f"{path}: it is damaged ({error}); move it away: sinks then begin anew where their `start` says,"
            " and `pipetrail sinks replay` sends again what they missed"
        ) from error
    except apsw.BusyError as error:
        raise StateError(f"{path}: another process holds it; see who with: fuser {path}") from error
    except apsw.IOError as error:
        raise StateError(f"{path}: the disk failed ({error}); look for its errors with: dmesg") from error
