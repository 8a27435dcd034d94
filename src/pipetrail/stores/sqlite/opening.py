"""Opening the file: which one it is, who may write it, and how SQLite is set."""

import ctypes
import fcntl
import os
from pathlib import Path

import apsw

from pipetrail.stores.sqlite.errors import (
    CorruptJournal,
    JournalBusy,
    JournalError,
    MissingJournal,
    NetworkDisk,
    NewerJournal,
    ReadOnlyJournal,
    explained,
    full,
)
from pipetrail.stores.sqlite.schema import APPLICATION_ID, VERSION, migrate

_NETWORK = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "fuse.sshfs", "fuse.glusterfs", "lustre", "beegfs")
_CACHE_KIB = 8_192
_CHECKPOINT_PAGES = 4_000


def open_for_writing(path: str) -> tuple[apsw.Connection, int]:
    """Open or create a journal as its one writer; returns it with the descriptor that holds the lock.

    :raises JournalError: one of its kinds, each with the remedy.
    """
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ReadOnlyJournal(
            f"{path}: its folder can't be made ({error.strerror}); choose another place with --journal"
        ) from error
    _refuse_network_disk(path)
    lock = _lock(path)
    db: apsw.Connection | None = None
    try:
        with explained(path):
            new = not os.path.exists(path) or os.path.getsize(path) == 0
            db = apsw.Connection(path)
            db.set_busy_timeout(10_000)
            if new:
                os.chmod(path, 0o600)
                db.execute("PRAGMA page_size = 8192")
            version = _check(db, path)
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
            db.execute("PRAGMA temp_store = MEMORY")
            db.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
            chunk = ctypes.c_int(int(db.pragma("page_size")))  # without one, the file is never made larger beforehand
            db.file_control("main", apsw.SQLITE_FCNTL_CHUNK_SIZE, ctypes.addressof(chunk))
            if version < VERSION:
                migrate(db, version)
            # A file that can't be written shows it now, not at three in the morning.
            with db:
                db.execute("UPDATE meta SET value = value WHERE key = 'next_seq'")
            return db, lock
    except BaseException:
        if db is not None:
            db.close()
        os.close(lock)
        raise


def open_for_reading(path: str) -> apsw.Connection:
    """Open a journal to read it, beside its writer or without one.

    :raises JournalError: one of its kinds.
    """
    if not os.path.exists(path):
        raise MissingJournal(f"{path}: no journal there; begin one with `pipetrail record`, or name it with --journal")
    with explained(path):
        flags = apsw.SQLITE_OPEN_READWRITE if os.access(path, os.W_OK) else apsw.SQLITE_OPEN_READONLY
        db = apsw.Connection(path, flags=flags)
        try:
            db.set_busy_timeout(5_000)
            version = _check(db, path)
            if not version:
                raise MissingJournal(f"{path}: it is empty; begin a journal there with `pipetrail record`")
            if version < VERSION:
                raise JournalError(
                    f"{path}: it was made by an older pipetrail (its schema is {version}, this one reads {VERSION});"
                    " `pipetrail record` or `pipetrail prune` brings it up to date"
                )
            db.execute("PRAGMA query_only = 1")
            db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        except BaseException:
            db.close()
            raise
        return db


def reserve(db: apsw.Connection, path: str) -> None:
    """Take the room on the disk that a transaction needs in the main file, before it is committed to the log.

    What is in the log then always fits into the main file; so on a full disk the log can be emptied, and its own room
    is enough to prune. Without this a full disk stays full: pruning, too, must first write to the log.

    :raises FullDisk: when there is no such room.
    """
    size = ctypes.c_int64(int(db.pragma("page_count")) * int(db.pragma("page_size")))
    try:
        db.file_control("main", apsw.SQLITE_FCNTL_SIZE_HINT, ctypes.addressof(size))
    except apsw.IOError as error:
        raise full(path) from error


def _check(db: apsw.Connection, path: str) -> int:
    """The schema version of a journal, 0 for an empty file."""
    version = int(db.pragma("user_version"))
    application = int(db.pragma("application_id"))
    tables = db.execute("SELECT count(*) FROM sqlite_schema").get
    if tables and application != APPLICATION_ID:
        raise CorruptJournal(f"{path}: it is an SQLite file, but no pipetrail journal; name another with --journal")
    if version > VERSION:
        raise NewerJournal(
            f"{path}: it was made by a newer pipetrail (schema {version}, this one knows {VERSION}); upgrade pipetrail"
        )
    return version


def _lock(path: str) -> int:
    try:
        lock = os.open(path + ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ReadOnlyJournal(
            f"{path}: its folder can't be written ({error.strerror}); choose another place with --journal"
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        owner = os.pread(lock, 64, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(lock)
        raise JournalBusy(
            f"{path}: a recorder (process {owner}) writes it already; stop that one, or name another with --journal"
        ) from error
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    return lock


def _refuse_network_disk(path: str) -> None:
    try:
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    real = os.path.realpath(path)
    best, kind = "", ""
    for line in mounts:
        fields = line.split()
        place = fields[1].replace("\\040", " ")
        if (real == place or real.startswith(place.rstrip("/") + "/")) and len(place) >= len(best):
            best, kind = place, fields[2]
    if kind in _NETWORK:
        raise NetworkDisk(f"{path}: {best} is a network file system ({kind}); choose a local disk with --journal")
