"""A copy of a journal while it is written."""

import contextlib
import os

import apsw

from pipetrail.stores.sqlite.errors import JournalError, explained

_PAGES = 2_000


def backup(db: apsw.Connection, target: str, progress: object = None) -> int:
    """Copy a journal's database to a new file, page by page; returns the number of pages.

    From the writer's own connection the copy is consistent and never starts again. The file appears under its name when
    it is whole.

    :param progress: called with (pages left, pages in all) now and then, if it can be called.
    :raises JournalError: when the copy can't be written.
    """
    partial = target + ".partial"
    try:
        with explained(target):
            pages = _copy(db, partial, progress)
        os.replace(partial, target)
    except OSError as error:
        raise JournalError(f"{target}: it can't be written ({error.strerror})") from error
    finally:
        with contextlib.suppress(OSError):
            os.unlink(partial)
    return pages


def _copy(db: apsw.Connection, partial: str, progress: object) -> int:
    if os.path.exists(partial):
        os.unlink(partial)
    copy = apsw.Connection(partial)
    try:
        os.chmod(partial, 0o600)
        with copy.backup("main", db, "main") as work:
            while not work.done:
                work.step(_PAGES)
                if callable(progress):
                    progress(work.remaining, work.page_count)
            pages = int(work.page_count)
        copy.execute("PRAGMA journal_mode = DELETE")
        fault = copy.execute("PRAGMA quick_check(1)").get
        if fault != "ok":
            raise apsw.CorruptError(str(fault))
        return pages
    finally:
        copy.close()
