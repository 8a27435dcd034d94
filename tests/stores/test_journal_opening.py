"""A file that can't be used is told at once: which one, why, and what to do; nothing in it is changed by that."""

import contextlib
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest

from pipetrail.model import Query
from pipetrail.stores.sqlite import (
    CorruptJournal,
    FullDisk,
    Journal,
    JournalBusy,
    JournalError,
    JournalReader,
    MissingJournal,
    NetworkDisk,
    NewerJournal,
    ReadOnlyJournal,
    opening,
    schema,
)
from pipetrail.testing.store_contract import bare
from tests.stores import facts


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "journal.db")


def write(path: str, *numbers: int) -> None:
    journal = Journal(path)
    journal.append([facts.batch(numbers)])
    journal.close()


def read(path: str) -> list[int]:
    with JournalReader(path) as reader:
        return [item.number for item in reader.events(Query())]


def test_a_new_journal_is_the_users_own_and_makes_its_folder(tmp_path: Path) -> None:
    path = str(tmp_path / "a" / "b" / "journal.db")
    write(path, 1)

    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(path + ".lock").st_mode) == 0o600
    assert sorted(os.listdir(tmp_path / "a" / "b")) == ["journal.db", "journal.db.lock"]


def test_closing_twice_is_safe_and_releases_the_file(path: str) -> None:
    for _ in range(2):
        journal = Journal(path)
        journal.close()
        journal.close()


# What is no journal


def test_no_file_is_told_with_the_remedy(path: str) -> None:
    with pytest.raises(MissingJournal, match=r"journal\.db: no journal there; begin one with `pipetrail record`"):
        JournalReader(path)
    assert not os.path.exists(path)


def test_an_empty_file_holds_nothing_to_read_but_can_be_begun(path: str) -> None:
    Path(path).touch()
    with pytest.raises(MissingJournal, match=r"journal\.db: it is empty"):
        JournalReader(path)

    write(path, 1)
    assert len(read(path)) == 1


@pytest.mark.parametrize("content", [b"x" * 10, b"not a database, just some text " * 1000, os.urandom(20_000)])
def test_a_file_that_is_no_database_is_left_as_it_is(path: str, content: bytes) -> None:
    Path(path).write_bytes(content)
    for opener in (Journal, JournalReader):
        with pytest.raises(CorruptJournal, match=r"journal\.db: it is damaged or no journal.*move it away"):
            opener(path)

    assert Path(path).read_bytes() == content


def test_a_database_of_somebody_else_is_left_as_it_is(path: str) -> None:
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE theirs(x)")
    other.execute("INSERT INTO theirs VALUES(42)")
    other.commit()
    other.close()
    before = Path(path).read_bytes()
    for opener in (Journal, JournalReader):
        with pytest.raises(CorruptJournal, match=r"journal\.db: it is an SQLite file, but no pipetrail journal"):
            opener(path)

    assert Path(path).read_bytes() == before


def test_a_folder_in_its_place_is_told(path: str) -> None:
    os.mkdir(path)
    for opener in (Journal, JournalReader):
        with pytest.raises(JournalError, match=r"journal\.db: "):
            opener(path)


def test_a_file_in_place_of_its_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ReadOnlyJournal, match="its folder can't be made"):
        Journal(str(tmp_path / "file" / "journal.db"))


# Damage


def damaged(path: str, share: float) -> None:
    """Overwrite a stretch of the file."""
    size = os.path.getsize(path)
    with open(path, "r+b") as file:
        file.seek(int(size * share))
        file.write(b"\xa5" * 8192 * 3)


def complaint(use: Callable[[str], object], path: str) -> str:
    """What is told of a damaged file, if it is noticed."""
    try:
        use(path)
    except CorruptJournal as error:
        return str(error)
    return ""


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.6, 0.9])
def test_damage_is_told_as_damage_whoever_meets_it(path: str, share: float) -> None:
    journal = Journal(path, segment_events=500)
    for first in range(0, 2000, 200):
        journal.append([facts.batch(range(first, first + 200))])
    journal.close()
    damaged(path, share)
    told = [said for use in (read, lambda path: write(path, 5000)) if (said := complaint(use, path))]
    assert all("move it away" in said or "restore a backup" in said for said in told)
    if share == 0.0:
        assert len(told) == 2
    elif not told:  # it hit what these do not look at: then they are right
        assert read(path) == [facts.event(number).number for number in (*range(2000), 5000)]


def test_a_file_cut_short_is_told(path: str) -> None:
    write(path, *range(500))
    os.truncate(path, os.path.getsize(path) // 2 + 100)
    with pytest.raises(CorruptJournal):
        read(path)


# Versions


def test_a_journal_of_a_newer_version_is_refused_and_left_as_it_is(path: str) -> None:
    write(path, 1)
    db = apsw.Connection(path)
    db.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    db.close()
    for opener in (Journal, JournalReader):
        with pytest.raises(
            NewerJournal,
            match=rf"journal\.db: it was made by a newer pipetrail \(schema {schema.VERSION + 1}, "
            rf"this one knows {schema.VERSION}\); upgrade pipetrail",
        ):
            opener(path)
    db = apsw.Connection(path)
    db.execute(f"PRAGMA user_version = {schema.VERSION}")
    db.close()

    assert len(read(path)) == 1


@pytest.fixture
def next_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """This program as it may be one day: with two more migrations."""
    steps = (
        "CREATE TABLE later(id INTEGER PRIMARY KEY, name TEXT) STRICT; INSERT INTO later(name) VALUES('first');",
        "ALTER TABLE later ADD COLUMN state TEXT; UPDATE later SET state = 'Failed';",
    )
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, *steps))
    for module in (schema, opening):
        monkeypatch.setattr(module, "VERSION", schema.VERSION + 2 if module is schema else schema.VERSION)


def test_an_older_journal_is_brought_up_to_date_with_all_it_holds(path: str, next_version: None) -> None:
    with pytest.MonkeyPatch.context() as before:
        for module in (schema, opening):
            before.setattr(module, "VERSION", schema.VERSION - 2 if module is schema else schema.VERSION)
        before.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:-2])
        write(path, 1, 2)
    older, now = schema.VERSION - 2, schema.VERSION
    with pytest.raises(
        JournalError, match=rf"made by an older pipetrail \(its schema is {older}, this one reads {now}\)"
    ):
        JournalReader(path)
    write(path, 3)

    assert len(read(path)) == 3
    db = apsw.Connection(path)
    assert db.execute("SELECT name, state FROM later").get == ("first", "Failed")
    assert db.pragma("user_version") == now
    db.close()
    write(path, 4)  # nothing is done twice
    assert len(read(path)) == 4


def test_a_migration_that_fails_changes_nothing(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    write(path, 1)
    with monkeypatch.context() as patched:
        patched.setattr(
            schema, "MIGRATIONS", (*schema.MIGRATIONS, "CREATE TABLE later(id);", "CREATE TABLE later(id);")
        )
        for module in (schema, opening):
            patched.setattr(module, "VERSION", schema.VERSION + 2 if module is schema else schema.VERSION)
        with pytest.raises(apsw.SQLError, match="already exists"):
            Journal(path)

    write(path, 2)
    assert len(read(path)) == 2


# A second writer


def test_a_second_writer_is_refused_and_told_who_writes(path: str) -> None:
    journal = Journal(path)
    with pytest.raises(JournalBusy, match=rf"journal\.db: a recorder \(process {os.getpid()}\) writes it already"):
        Journal(path)
    journal.append([facts.batch([1])])
    journal.close()

    write(path, 2)
    assert len(read(path)) == 2


def test_a_writer_in_another_process_is_told_by_its_pid(path: str) -> None:
    script = (
        "import sys; from pipetrail.stores.sqlite import Journal; j = Journal(sys.argv[1]); print(1, flush=True);"
        " sys.stdin.read(); j.close()"
    )
    with subprocess.Popen([sys.executable, "-c", script, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        with pytest.raises(JournalBusy, match=rf"process {child.pid}\)"):
            Journal(path)
        child.communicate(b"")

    write(path, 1)


# Places that are no good


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "fuse.sshfs", "ceph"])
def test_a_network_file_system_is_refused(path: str, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    folder = os.path.dirname(path)
    mounts = f"/dev/vda / ext4 rw 0 0\nserver:/export {folder} {kind} rw 0 0\n"
    good = Path.read_text

    def read_text(self: Path, *arguments: object, **keywords: object) -> str:
        return mounts if str(self) == "/proc/self/mounts" else good(self, *arguments, **keywords)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_text", read_text)
        with pytest.raises(
            NetworkDisk, match=rf"journal\.db: {folder} is a network file system \({kind}\); choose a local disk"
        ):
            Journal(path)

    assert not os.path.exists(path)


def test_the_closest_mount_counts_also_with_a_space_in_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "a b"
    escaped = str(place).replace(" ", r"\040")
    mounts = f"server:/x {tmp_path} nfs rw 0 0\n/dev/sda {escaped} ext4 rw 0 0\n"
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: mounts)
    Journal(str(place / "journal.db")).close()
    with pytest.raises(NetworkDisk):
        Journal(str(tmp_path / "other" / "journal.db"))


_OPEN = """
import os, sys
from pipetrail.stores.sqlite import Journal, JournalReader, JournalError
if os.getuid() == 0:  # root ignores the modes of files
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
kind = {"write": Journal, "read": JournalReader}[sys.argv[1]]
try:
    kind(sys.argv[2]).close()
except JournalError as error:
    print(type(error).__name__, error)
"""


def as_nobody(do: str, path: str) -> str:
    """What is told to a user whom file modes stop."""
    done = subprocess.run(
        [sys.executable, "-c", _OPEN, do, path], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout


@pytest.fixture
def open_place() -> Iterator[Path]:
    """A folder that every user can reach (pytest's own are the user's)."""
    with facts.folder() as place:
        place.chmod(0o755)
        yield place


def test_a_file_that_may_not_be_written_is_told_at_once(open_place: Path) -> None:
    path = str(open_place / "journal.db")
    write(path, 1)
    os.chmod(path, 0o444)
    os.chmod(path + ".lock", 0o666)  # noqa: S103 (a test's own folder)
    open_place.chmod(0o777)

    assert as_nobody("write", path).startswith(f"ReadOnlyJournal {path}: it can't be written; check the owner and mode")
    assert len(read(path)) == 1


def test_a_folder_that_may_not_be_written_is_told_at_once(open_place: Path) -> None:
    path = str(open_place / "journal.db")
    write(path, 1)
    for name in os.listdir(open_place):
        os.chmod(open_place / name, 0o444)
    if os.getuid() != 0:
        open_place.chmod(0o555)
    said = as_nobody("write", path)
    open_place.chmod(0o755)

    assert said.startswith(f"ReadOnlyJournal {path}: its folder can't be written (Permission denied)")
    assert len(read(path)) == 1


def test_a_file_that_may_not_be_read_is_told_to_its_reader(open_place: Path) -> None:
    path = str(open_place / "journal.db")
    write(path, 1)
    os.chmod(path, 0)
    said = as_nobody("read", path)
    os.chmod(path, 0o600)

    assert said.startswith(f"ReadOnlyJournal {path}: it can't be opened")


def test_a_disk_that_fills_up_is_told_and_what_was_committed_is_there(small_disk: Path) -> None:
    path = str(small_disk / "journal.db")
    journal = Journal(path, segment_events=2000)
    stored = 0
    with contextlib.suppress(FullDisk):
        for first in range(0, 1_000_000, 500):
            journal.append([facts.batch(range(first, first + 500))])
            stored += 500
    with pytest.raises(FullDisk, match=r"journal\.db: the disk is full; free some space or lower --max-size"):
        journal.append([facts.batch(range(stored, stored + 500))])

    assert facts.whole(path) == "ok"
    assert len(read(path)) == stored
    journal.close()
    assert read(path) == [facts.event(number).number for number in range(stored)]


def test_a_file_that_may_not_grow_is_told_and_what_was_committed_is_there(path: str) -> None:
    """As a full disk, for machines where none can be made."""
    script = (
        "import resource, signal, sys; from pipetrail.stores.sqlite import *; from tests.stores import facts\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "journal = Journal(sys.argv[1])\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))\n"
        "try:\n"
        "    for first in range(0, 100_000, 100):\n"
        "        journal.append([facts.batch(range(first, first + 100))])\n"
        "except JournalError as error: print(first, error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, path], capture_output=True, text=True, check=False, timeout=60, cwd=Path.cwd()
    )
    stored, _, said = done.stdout.partition(" ")

    assert path in said, done
    assert [bare(item).number for item in JournalReader(path).events(Query())] == [
        facts.event(number).number for number in range(int(stored))
    ]
    assert facts.whole(path) == "ok"
