"""The journal holds what every store must, with one segment and with many."""

from contextlib import AbstractContextManager

from pipetrail.testing.store_contract import StoreContract
from tests.stores import facts


class TestJournal(StoreContract):
    def opened(self) -> AbstractContextManager[facts.OpenedSqlite]:
        return facts.opened(segment_events=3)


class TestJournalOfOneSegmentWithoutFullText(StoreContract):
    def opened(self) -> AbstractContextManager[facts.OpenedSqlite]:
        return facts.opened(full_text=False)
