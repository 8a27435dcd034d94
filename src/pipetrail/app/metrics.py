"""The recorder's metrics for Prometheus.

Labels come from closed sets: clusters as configured, resources as in the table of kinds, states and reasons as listed.
No label is ever an object's name.
"""

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Iterator
from typing import cast

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST as CONTENT_TYPE
from prometheus_client.openmetrics.exposition import generate_latest

from pipetrail.app.recorder import Recorder
from pipetrail.app.run_metrics import Closed, tally_metrics
from pipetrail.app.sink_metrics import sink_metrics
from pipetrail.catalogue import load
from pipetrail.sinks import state_path
from pipetrail.sinks.figures import SinkFigures
from pipetrail.sinks.schema import StateError
from pipetrail.sinks.state import read_figures
from pipetrail.stores.sqlite import JournalError, JournalReader
from pipetrail.stores.sqlite.errors import explained
from pipetrail.stores.sqlite.journal import Journal
from pipetrail.stores.sqlite.tallied import read_tallied
from pipetrail.stores.sqlite.tallies import tally

_log = logging.getLogger(__name__)

__all__ = ["CONTENT_TYPE", "STATES", "Metrics", "RecorderMetrics"]

COUNT_SECONDS = 2.0
"""How often what is new in the journal is counted, besides at each scrape."""

_SCRAPE_SECONDS = 2.0  # that a scrape waits for the count; after a long time without one it is behind for a while

STATES = ("listing", "watching", "blind", "forbidden", "absent")


class RecorderMetrics:
    """Reads a recorder's figures when Prometheus asks; nothing is counted twice."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def collect(self) -> Iterator[Metric]:
        """All metrics, as of now. Every series exists from the start."""
        done = self._recorder.writer.done
        for name, text, value in (
            ("pipetrail_journal_events", "Events stored by this process.", done.events),
            ("pipetrail_journal_object_versions", "Versions of objects stored by this process.", done.objects),
            ("pipetrail_journal_gaps", "Gaps recorded by this process.", done.gaps),
            ("pipetrail_journal_rejects", "Bad input kept for inspection by this process.", done.rejects),
            ("pipetrail_journal_commits", "Transactions.", done.commits),
            ("pipetrail_journal_failures", "Transactions that failed and were tried again.", done.failures),
            ("pipetrail_journal_pruned_events", "Events dropped to keep the bounds.", done.pruned_events),
        ):
            yield CounterMetricFamily(name, text, value=value)
        for name, text, number in (
            ("pipetrail_journal_bytes", "Bytes of the journal in use.", done.bytes),
            (
                "pipetrail_journal_pending",
                "Events and versions that wait for their commit.",
                self._recorder.writer.pending,
            ),
            ("pipetrail_journal_commit_seconds", "Duration of the last transaction.", done.commit_seconds),
            ("pipetrail_lag_seconds", "How far the journal is behind the clusters.", self._recorder.lag_seconds()),
            ("pipetrail_ready", "1 while nothing is blind.", 0 if self._recorder.blind() else 1),
        ):
            yield GaugeMetricFamily(name, text, value=number)
        yield from self._sources()

    def _sources(self) -> Iterator[Metric]:
        labels = ("cluster", "resource")
        state = GaugeMetricFamily(
            "pipetrail_source_state", "1 for the state that a source is in.", labels=(*labels, "state")
        )
        alive = GaugeMetricFamily(
            "pipetrail_source_alive_seconds", "When a source was last known to be complete, Unix time.", labels=labels
        )
        relists = CounterMetricFamily("pipetrail_source_lists", "Lists that were read to the end.", labels=labels)
        reconnects = CounterMetricFamily(
            "pipetrail_source_reconnects", "Watches that were opened again.", labels=labels
        )
        resyncs = CounterMetricFamily(
            "pipetrail_source_resyncs", "New lists after a break too short for a gap.", labels=labels
        )
        bent = CounterMetricFamily(
            "pipetrail_source_bent_objects", "Objects with unexpected fields, read field by field.", labels=labels
        )
        for cluster in self._recorder.clusters:
            for name, known in cluster.following.items():
                key = (cluster.label, name)
                for word in STATES:
                    state.add_metric((*key, word), 1.0 if known.state == word else 0.0)
                alive.add_metric(key, (known.watch.alive_at or 0) / 1e6)
                relists.add_metric(key, known.watch.relists)
                reconnects.add_metric(key, known.watch.reconnects)
                resyncs.add_metric(key, known.source.resyncs)
                bent.add_metric(key, known.watch.decoder.bent)
        yield from (state, alive, relists, reconnects, resyncs, bent)


class Metrics:
    """All that a recorder shows, and the counting that it needs.

    What is counted is in the journal (:mod:`~pipetrail.stores.sqlite.tallies`), so it goes on after a restart.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._own = RecorderMetrics(recorder)
        self._closed: Closed | None = None

    async def keep_counting(self) -> None:
        """Count what is new, for ever."""
        failed = False
        while True:
            try:
                await self.count()
                failed = False
            except Exception:  # what is shown must never stop what is recorded
                if not failed:
                    _log.exception("What happened can't be counted; it is tried again.")
                failed = True
            await asyncio.sleep(COUNT_SECONDS)

    async def count(self) -> None:
        """Count all that is new, in short transactions between those of the writer.

        Where the journal can't be written nothing is lost: it is counted the next time.
        """
        with contextlib.suppress(JournalError):
            # Who is cancelled meanwhile must not let the writer into a transaction that is under way.
            while await asyncio.shield(self._recorder.writer.ask(_tally)):
                pass

    async def scrape(self) -> bytes:
        """All metrics as of now, in the OpenMetrics format (:data:`CONTENT_TYPE`).

        :raises JournalError: when the journal can't be read.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SCRAPE_SECONDS):
                await self.count()
        # The recorder's own figures belong to this thread; what takes long is done in another.
        own = list(self._own.collect())
        last = self._recorder.writer.done.last_seq
        return await asyncio.to_thread(self._text, own, last)

    def _text(self, own: list[Metric], last: int) -> bytes:
        if self._closed is None:
            self._closed = Closed(self._recorder.catalogue or load())
        journal, now = self._recorder.options.journal, self._recorder.now()
        with JournalReader(journal) as reader:
            tallied = read_tallied(reader, now)
        counted = tally_metrics(tallied, self._closed, max(0, last - tallied.seq))
        return text([*own, *counted, *sink_metrics(_figures(state_path(journal)), last, now)])


def _figures(path: str) -> list[SinkFigures]:
    try:
        return read_figures(path)
    except StateError:
        return []  # `pipetrail sinks` says what is wrong with it; the rest is to be seen all the same


def text(metrics: Iterable[Metric]) -> bytes:
    """Metrics in the OpenMetrics format."""
    return cast(bytes, generate_latest(_Collected(metrics)))  # type: ignore[no-untyped-call]


class _Collected:
    """Metrics that were collected before, for who wants to collect them."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def _tally(journal: Journal) -> bool:
    with explained(journal.path):
        return tally(journal.db)
