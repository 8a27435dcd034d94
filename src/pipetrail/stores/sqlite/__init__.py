"""The journal: one SQLite file, one writer, any number of readers.

The names are imported when they are used: who only reads a journal does not pay for asyncio.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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

_MODULES = {"Journal": "journal", "JournalReader": "reading", "Retention": "retention", "Writer": "writer"}

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


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES.get(name, 'errors')}"), name)
