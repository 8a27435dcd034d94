"""``metrics.md``: what /metrics shows, collected from a recorder that does nothing."""

from types import SimpleNamespace
from typing import Any, cast

from prometheus_client.core import Metric

from docs._generate.markdown import code, codes, page, sentence, table
from pipetrail.app.metrics import STATES, RecorderMetrics
from pipetrail.stores.sqlite.writer import Written

SOURCE = "src/pipetrail/app/metrics.py"

_INTRO = """`pipetrail record` serves these at `/metrics`, in the OpenMetrics format, on `127.0.0.1:8380`
(`--listen`). Every series exists from the start of its source. Labels come from closed sets: no label is ever the
name of an object. How to scrape and what to alert on: [Health and metrics](../how-to/health.md)."""

_LABELS = """## Labels

| Label | Values |
| --- | --- |
| `cluster` | What people call the cluster: its `--cluster` name, else the context |
| `resource` | A source, as in `pipetrail status`: `pods`, `jobs.batch`, `ml-team-a/pods` |
| `state` | {states} |"""


def write() -> str:
    """The page."""
    rows = [
        (code(name), metric.type, codes(labels), sentence(metric.documentation)) for name, labels, metric in metrics()
    ]
    states = codes(STATES)
    return page(
        "Metrics",
        SOURCE,
        _INTRO,
        table(("Name", "Type", "Labels", "Meaning"), rows),
        _LABELS.format(states=states),
    )


def metrics() -> list[tuple[str, list[str], Metric]]:
    """Each metric with the name of its samples and its labels."""
    found = []
    for metric in RecorderMetrics(cast(Any, _recorder())).collect():
        names = {sample.name for sample in metric.samples}
        labels = list(metric.samples[0].labels)
        found += [(name, labels, metric) for name in sorted(names)]
    return found


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
