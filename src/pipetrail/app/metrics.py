"""The recorder's metrics for Prometheus.

Labels come from closed sets: clusters as configured, resources as in the table of kinds, states and reasons as listed.
No label is ever an object's name.
"""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from pipetrail.app.recorder import Recorder

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


def registry(recorder: Recorder) -> CollectorRegistry:
    """A registry of a recorder's metrics, its own and never the global one."""
    made = CollectorRegistry(auto_describe=False)
    made.register(RecorderMetrics(recorder))
    return made
