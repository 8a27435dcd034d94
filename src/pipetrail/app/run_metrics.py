"""What was counted in the journal, as metrics: events, gaps, runs and how they ended.

All of it outlives the recorder and the events. Labels have closed sets: reasons, categories and blames are those of the
catalogue, pipelines have 200 places. So the number of series has a bound, whatever things are called:
:func:`most_series` is it.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Literal, get_args

import msgspec
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.samples import Exemplar

from pipetrail.analysis.phases import Name as PhaseName
from pipetrail.app.skipping import REASON as SKIPPED
from pipetrail.catalogue import Catalogue
from pipetrail.catalogue.types import Blame
from pipetrail.sources.gaps import REASONS
from pipetrail.stores.sqlite.rows import SEVERITIES
from pipetrail.stores.sqlite.run_tallies import BUCKETS, OTHER, PLACES
from pipetrail.stores.sqlite.tallied import Count, Tallied
from pipetrail.stores.sqlite.turns import OVER

PHASES: tuple[str, ...] = get_args(PhaseName)
BLAMES: tuple[str, ...] = ("", *get_args(Blame))
OPEN = ("Pending", "Running", "Preempted", "Stuck", "Zombie", "Unknown")
"""The states of runs that are not over; what else there is counts as Unknown."""

_SUMS = {
    "started": "pipetrail_runs_started",
    "restarts": "pipetrail_run_restarts",
    "preemptions": "pipetrail_run_preemptions",
    "evictions": "pipetrail_run_evictions",
}
GAP_REASONS = (*REASONS, SKIPPED)
_LOSSES = ("none", "possible")
_PIPELINE = ("cluster", "system", "pipeline")
_END = (*_PIPELINE, "outcome", "category", "blame")
_EXEMPLAR = 128 - len("run")  # characters that OpenMetrics leaves for the id


class Family(msgspec.Struct, frozen=True):
    """A metric: its name without ``_total`` and the like, its labels, and what it says."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    text: str


FAMILIES = {
    family.name: family
    for family in (
        Family(
            "pipetrail_events",
            "counter",
            ("cluster", "category", "reason", "severity"),
            "How often something happened: Kubernetes Events with their repeats, and changes of state.",
        ),
        Family(
            "pipetrail_gaps",
            "counter",
            ("cluster", "reason", "loss"),
            "Pieces of history that a source or a sink missed, without those of a first start.",
        ),
        Family("pipetrail_runs", "gauge", (*_PIPELINE, "state"), "Runs that are not over."),
        Family("pipetrail_runs_started", "counter", _PIPELINE, "Runs that were seen."),
        Family(
            "pipetrail_runs_finished",
            "counter",
            _END,
            "Runs that ended, under what their verdict said then; again where a later verdict says otherwise.",
        ),
        Family(
            "pipetrail_runs_corrected",
            "counter",
            _END,
            "Of the runs that ended, those that a later verdict counted again under other labels.",
        ),
        Family(
            "pipetrail_run_phase_seconds",
            "histogram",
            (*_PIPELINE, "phase"),
            "How long each phase of a run took, of runs that are over.",
        ),
        Family("pipetrail_run_restarts", "counter", _PIPELINE, "Restarts of runs."),
        Family("pipetrail_run_preemptions", "counter", _PIPELINE, "How often runs were preempted."),
        Family("pipetrail_run_evictions", "counter", _PIPELINE, "How often runs lost a pod by eviction."),
        Family(
            "pipetrail_run_preemptions_most",
            "gauge",
            _PIPELINE,
            "How often the most preempted run was so, of those that are not over.",
        ),
        Family(
            "pipetrail_pipeline_failed_in_a_row",
            "gauge",
            _PIPELINE,
            "How many runs failed since the last that succeeded; cancelled ones do not count.",
        ),
        Family(
            "pipetrail_nodes_suspect",
            "gauge",
            ("cluster",),
            "Nodes that the verdicts on two runs or more are about, within a day.",
        ),
        Family("pipetrail_tally_pending", "gauge", (), "Changes of the journal that are not counted yet."),
    )
}
"""All metrics of this module, by name."""


class Closed:
    """The closed sets that come from a catalogue."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    @cached_property
    def categories(self) -> frozenset[str]:
        """All categories of causes and reasons."""
        causes = {cause.category for cause in self._catalogue.causes.values()}
        return frozenset(causes | {entry.category for entry in self._catalogue.entries})

    @cached_property
    def reasons(self) -> frozenset[tuple[str, str]]:
        """Each reason with its category, as :meth:`reason` answers."""
        return frozenset({self.reason(entry.reason) for entry in self._catalogue.entries} | {(OTHER, OTHER)})

    def reason(self, reason: str) -> tuple[str, str]:
        """The category and the reason under which it is shown: the pattern where only one fits it, else ``other``."""
        found = self._catalogue.said_by(reason)
        return (found[0].category, found[0].reason) if found else (OTHER, OTHER)

    def category(self, word: str) -> str:
        """A category as it is shown; empty where there is no verdict."""
        return word if not word or word in self.categories else OTHER


def most_series(closed: Closed, clusters: int, systems: int) -> Mapping[str, int]:
    """The most samples that each metric can have, whatever happens in the clusters.

    :param clusters: how many there are.
    :param systems: how many ML systems, with those of the configuration.
    """
    pipelines = PLACES + clusters * systems  # each system of each cluster has its `other`
    ends = 1 + (len(OVER) - 1) * (len(closed.categories) + 2) * len(BLAMES)  # one that succeeded has no cause
    each = {
        "pipetrail_events": clusters * len(closed.reasons) * len(SEVERITIES),
        "pipetrail_gaps": clusters * (len(GAP_REASONS) + 1) * len(_LOSSES),
        "pipetrail_runs": pipelines * len(OPEN),
        "pipetrail_runs_finished": pipelines * ends,
        "pipetrail_runs_corrected": pipelines * ends,
        "pipetrail_run_phase_seconds": pipelines * len(PHASES) * (len(BUCKETS) + 2),
        "pipetrail_nodes_suspect": clusters,
        "pipetrail_tally_pending": 1,
    }
    return {name: each.get(name, pipelines) for name in FAMILIES}


def tally_metrics(tallied: Tallied, closed: Closed, pending: int) -> Iterator[Metric]:
    """What was counted, as metrics. Each pipeline has all series that its rules need from its first run on.

    :param pending: how many changes are not counted yet.
    """
    yield _events(tallied, closed)
    yield _gaps(tallied)
    yield from _ends(tallied, closed)
    yield _phases(tallied)
    yield _now(tallied)
    yield from _sums(tallied)
    suspects = _gauge("pipetrail_nodes_suspect")
    for cluster in tallied.clusters:
        suspects.add_metric((cluster,), tallied.suspects.get(cluster, 0))
    yield suspects
    behind = _gauge("pipetrail_tally_pending")
    behind.add_metric((), pending)
    yield behind


def _now(tallied: Tallied) -> Metric:
    now: dict[tuple[str, str, str, str], int] = {}
    for (*key, state), count in tallied.now.items():
        cluster, system, pipeline = key
        place = cluster, system, pipeline, state if state in OPEN else "Unknown"
        now[place] = now.get(place, 0) + count
    runs = _gauge("pipetrail_runs")
    for shown in dict.fromkeys((*tallied.counts, *(place[:3] for place in now))):
        for word in OPEN:
            runs.add_metric((*shown, word), now.get((*shown, word), 0))
    return runs


def _sums(tallied: Tallied) -> Iterator[Metric]:
    for word, name in _SUMS.items():
        counter = _counter(name)
        for key, counts in tallied.counts.items():
            count = counts.get(word, [Count((), 0)])[0]
            counter.add_metric(key, count.value, exemplar=_exemplar(count))
        yield counter
    for name, values in (
        ("pipetrail_run_preemptions_most", tallied.preempted),
        ("pipetrail_pipeline_failed_in_a_row", tallied.failed_in_a_row),
    ):
        gauge = _gauge(name)
        for key in tallied.counts:
            gauge.add_metric(key, values.get(key, 0))
        yield gauge


def _events(tallied: Tallied, closed: Closed) -> Metric:
    shown: dict[tuple[str, str, str, str], int] = {}
    for (cluster, reason, severity), count in tallied.events.items():
        key = cluster, *closed.reason(reason), severity
        shown[key] = shown.get(key, 0) + count
    events = _counter("pipetrail_events")
    for labels, count in sorted(shown.items()):
        events.add_metric(labels, count)
    return events


def _gaps(tallied: Tallied) -> Metric:
    shown = {(cluster, reason, "possible"): 0 for cluster in tallied.clusters for reason in GAP_REASONS}
    for (cluster, reason, loss), count in tallied.gaps.items():
        key = cluster, reason if reason in GAP_REASONS else OTHER, loss
        shown[key] = shown.get(key, 0) + count
    gaps = _counter("pipetrail_gaps")
    for labels, count in sorted(shown.items()):
        gaps.add_metric(labels, count)
    return gaps


def _ends(tallied: Tallied, closed: Closed) -> Iterator[Metric]:
    for word in ("finished", "corrected"):
        counter = _counter(f"pipetrail_runs_{word}")
        for key, counts in tallied.counts.items():
            shown = {(outcome, "", ""): Count((), 0) for outcome in OVER}
            for count in counts.get(word, ()):
                outcome, category, blame = count.labels
                labels = outcome, closed.category(category), blame if blame in BLAMES else "unknown"
                shown[labels] = _joined(count, shown.get(labels))
            for labels, count in shown.items():
                counter.add_metric((*key, *labels), count.value, exemplar=_exemplar(count))
        yield counter


def _phases(tallied: Tallied) -> Metric:
    name, text, labels = _described("pipetrail_run_phase_seconds")
    histogram = HistogramMetricFamily(name, text, labels=labels)
    for key, counts in tallied.counts.items():
        found = {count.labels: count for count in counts.get("phase", ())}
        for (phase,), seconds in sorted((count.labels, count.value) for count in counts.get("phase_sum", ())):
            if phase in PHASES:
                histogram.add_metric((*key, phase), _buckets(phase, found), seconds)
    return histogram


def _buckets(phase: str, found: Mapping[tuple[str, ...], Count]) -> Sequence[tuple[str, float, Exemplar]]:
    total = 0.0
    buckets = []
    for bound in BUCKETS:
        count = found.get((phase, str(bound)), Count((), 0))
        total += count.value
        buckets.append(("+Inf" if bound == float("inf") else str(bound), total, _exemplar(count)))
    return buckets  # type: ignore[return-value]  # an exemplar may be None


def _joined(one: Count, other: Count | None) -> Count:
    return one if other is None else msgspec.structs.replace(one, value=one.value + other.value)


def _exemplar(count: Count) -> Exemplar | None:
    """The run that added something last; None where its id is too long to be told."""
    if not count.run or len(count.run) > _EXEMPLAR:
        return None
    return Exemplar({"run": count.run}, count.seen, count.at / 1e6)


def _counter(name: str) -> CounterMetricFamily:
    name, text, labels = _described(name)
    return CounterMetricFamily(name, text, labels=labels)


def _gauge(name: str) -> GaugeMetricFamily:
    name, text, labels = _described(name)
    return GaugeMetricFamily(name, text, labels=labels)


def _described(name: str) -> tuple[str, str, Sequence[str]]:
    family = FAMILIES[name]
    return name, family.text, family.labels
