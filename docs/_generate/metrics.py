"""``metrics.md``: what /metrics shows, collected from a recorder that does nothing and a journal with one run."""

from types import SimpleNamespace
from typing import Any, cast

from prometheus_client.core import Metric

from docs._generate.kinds import SYSTEMS
from docs._generate.markdown import code, codes, page, sentence, table
from pipetrail.app import sink_metrics
from pipetrail.app.metrics import STATES, RecorderMetrics
from pipetrail.app.run_metrics import BLAMES, GAP_REASONS, OPEN, PHASES, Closed, most_series, tally_metrics
from pipetrail.catalogue import load
from pipetrail.sinks.figures import FAILURES, SinkFigures
from pipetrail.stores.sqlite.rows import SEVERITIES
from pipetrail.stores.sqlite.run_tallies import BUCKETS, PLACES
from pipetrail.stores.sqlite.tallied import SUSPICIOUS, Count, Tallied
from pipetrail.stores.sqlite.turns import OVER
from pipetrail.stores.sqlite.writer import Written

SOURCE = "src/pipetrail/app/metrics.py, run_metrics.py and sink_metrics.py"

_INTRO = """`pipetrail record` serves these at `/metrics`, in the OpenMetrics format, on `127.0.0.1:8380`
(`--listen`). Labels come from closed sets: no label is ever the name of an object. How to scrape and what to alert on:
[Prometheus](../how-to/prometheus.md)."""

_RECORDER = """## The recorder

What this process did and sees. Counters begin at 0 with it. Every series exists from the start of its source."""

_COUNTED = """## What happened

Counted in the journal, each change once. These go on after a restart of the recorder, and keep what was counted when
the events themselves are pruned. They begin with the first version that has them: what an older journal holds of events
is counted when that version opens it, of runs what comes from then on.

* A run counts when it ends, under the category and blame of its verdict. Where a later verdict says otherwise it is
  counted again under those, and `pipetrail_runs_corrected_total` counts it under the first: what is known now is the
  one less the other, and neither ever goes down. A run that ends in another state after all, or is tried again, ends
  twice.
* Counters and buckets have exemplars: `run` is the id of the last run that added something, for `pipetrail why RUN`.
* Each pipeline has all outcomes and states from its first run on, at 0, so that its first failure is an increase."""

_BOUND = """## How many series there can be

{places} pipelines are shown by name, over all clusters; the rest of each system is `other`. A pipeline that is shown
stays shown. The first {half} places go to whoever comes first, the busiest first where several come at once; for the
other half a pipeline must have had 5 runs, so that names which are used once do not fill them. Reasons are those of the
catalogue, what is not in it is `other`.

So there are never more samples than this, for one cluster with all {systems} known systems and the catalogue that comes
with pipetrail. What there is in practice is far less: few pipelines fail in all ways.

{table}"""

_SINKS = """## Sinks

Counted by delivery in a file beside the journal; they go on after a restart. Every series exists as soon as the sink
has started once. `sink` is its name in the configuration."""


def write() -> str:
    """The page."""
    closed, systems = Closed(load()), len(SYSTEMS)
    bound = most_series(closed, clusters=1, systems=systems)
    return page(
        "Metrics",
        SOURCE,
        _INTRO,
        _RECORDER,
        _table(_recorder_metrics()),
        _COUNTED,
        _table(_counted_metrics()),
        _SINKS,
        _table(_sinks_metrics()),
        "## Labels",
        table(("Label", "Values"), [(code(name), values) for name, values in _labels(closed)]),
        _BOUND.format(
            places=PLACES,
            half=PLACES // 2,
            systems=systems,
            table=table(("Metric", "At most"), [(code(name), f"{most:,}") for name, most in bound.items()]),
        ),
    )


def metrics() -> list[tuple[str, list[str], Metric]]:
    """Each metric with the name of its samples and its labels."""
    return [
        one for found in (_recorder_metrics(), _counted_metrics(), _sinks_metrics()) for metric in found
        for one in _named(metric)
    ]  # fmt: skip


def _named(metric: Metric) -> list[tuple[str, list[str], Metric]]:
    labels: dict[str, list[str]] = {}
    for sample in metric.samples:
        labels.setdefault(sample.name, list(sample.labels))
    return [(name, labels[name], metric) for name in sorted(labels)]


def _table(found: list[Metric]) -> str:
    rows = [
        (code(name), metric.type, codes(labels), sentence(metric.documentation))
        for metric in found
        for name, labels, _ in _named(metric)
    ]
    return table(("Name", "Type", "Labels", "Meaning"), rows)


def _labels(closed: Closed) -> list[tuple[str, str]]:
    return [
        ("cluster", "What people call the cluster: its `--cluster` name, else the context"),
        ("resource", "A source, as in `pipetrail status`: `pods`, `jobs.batch`, `ml-team-a/pods`"),
        ("system", "The ML system, as in `pipetrail runs`; those of the configuration, too"),
        ("pipeline", "The pipeline of a run, empty where it has none; `other`"),
        ("state", f"Of a source {codes(STATES)}; of a run {codes(OPEN)}; of a sink {codes(sink_metrics.STATES)}"),
        ("outcome", codes(OVER)),
        ("category", f"{codes(sorted(closed.categories))}, `other`; empty where nothing failed or nothing is known"),
        ("blame", f"{codes(filter(None, BLAMES))}; empty where nothing failed"),
        ("phase", codes(PHASES)),
        ("le", codes("+Inf" if bound == float("inf") else str(bound) for bound in BUCKETS)),
        ("severity", codes(SEVERITIES)),
        (
            "reason",
            f"Of events the {len(closed.reasons) - 1} of [the catalogue](reasons.md) and `other`;"
            f" of gaps {codes(GAP_REASONS)}, `other`",
        ),
        ("loss", "`none`, `possible`"),
        ("sink", "The sinks of the configuration"),
        ("failure", codes(FAILURES)),
    ]


def _recorder_metrics() -> list[Metric]:
    return list(RecorderMetrics(cast(Any, _recorder())).collect())


def _counted_metrics() -> list[Metric]:
    counts = {"phase": [Count(("running", "inf"), 1)], "phase_sum": [Count(("running",), 1)]}
    one = Tallied(
        clusters=["c"],
        events={("c", "BackOff", "warning"): 1},
        counts={("c", "argo", "p"): counts},
        suspects={"c": SUSPICIOUS},
    )
    return list(tally_metrics(one, Closed(load()), 0))


def _sinks_metrics() -> list[Metric]:
    return list(sink_metrics.sink_metrics([SinkFigures(name="s", type="file")], 0, 0))


def _recorder() -> SimpleNamespace:
    """Something that has the figures of a recorder with one source."""
    watch = SimpleNamespace(alive_at=0, relists=0, reconnects=0, decoder=SimpleNamespace(bent=0))
    source = SimpleNamespace(state="watching", watch=watch, source=SimpleNamespace(resyncs=0))
    return SimpleNamespace(
        writer=SimpleNamespace(done=Written(), pending=0),
        lag_seconds=lambda: 0.0,
        blind=lambda: [],
        clusters=[SimpleNamespace(label="c", following={"pods": source})],
    )
