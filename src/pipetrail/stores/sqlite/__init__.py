"""The journal: one SQLite file, one writer, any number of readers."""

from pipetrail.stores.sqlite.errors import (
    CorruptJournal,
    FullDisk,
    JournalBusy,
    JournalError,
    MissingJournal,
    NetworkDisk,
    NewerJournal,
    ReadOnlyJournal,
)
from pipetrail.stores.sqlite.journal import Journal
from pipetrail.stores.sqlite.reading import JournalReader
from pipetrail.stores.sqlite.retention import Retention
from pipetrail.stores.sqlite.writer import Writer

__all__ = [
    "CorruptJournal",
    "FullDisk",
    "Journal",
    "JournalBusy",
    "JournalError",
    "JournalReader",
    "MissingJournal",
    "NetworkDisk",
    "NewerJournal",
    "ReadOnlyJournal",
    "Retention",
    "Writer",
]
