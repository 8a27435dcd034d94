"""A journal with what tests put into it, and what is counted of that and shown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from prometheus_client.openmetrics.parser import text_string_to_metric_families

from pipetrail.app.metrics import text
from pipetrail.app.run_metrics import Closed, tally_metrics
from pipetrail.catalogue import load
from pipetrail.model import Batch, Event, Gap, Micros, Standing
from pipetrail.model.times import SECOND
from pipetrail.stores.sqlite import Journal, JournalReader
from pipetrail.stores.sqlite.tallied import Tallied, read_tallied
from pipetrail.stores.sqlite.tallies import tally
from pipetrail.testing.strategies import START

if TYPE_CHECKING:
    from prometheus_client.core import Metric
    from prometheus_client.samples import Exemplar

CLOSED = Closed(load())
CLUSTER = "prod"


def a_run(run: str = "r1", state: str = "Running", at: Micros = START, **more: Any) -> Standing:
    """How a run of pipeline nightly stands."""
    known: dict[str, Any] = {
        "cluster": CLUSTER, "system": "argo", "run": run, "name": run, "namespace": "ml", "pipeline": "nightly"
    }  # fmt: skip
    return Standing(**known | {"state": state, "at": at} | more)


def put(journal: Journal, *told: Standing, events: Iterable[Event] = (), gaps: Iterable[Gap] = ()) -> None:
    """Store something."""
    journal.append([Batch(cluster=CLUSTER, resource="", standings=list(told), events=list(events), gaps=list(gaps))])


def counted(journal: Journal, now: Micros = START + 3600 * SECOND) -> Tallied:
    """Count what is new; all that was counted so far."""
    while tally(journal.db):
        pass
    with JournalReader(journal.path) as reader:
        return read_tallied(reader, now)


def shown(journal: Journal) -> Shown:
    """Count what is new; all that Prometheus would be shown of it."""
    return Shown(text(tally_metrics(counted(journal), CLOSED, 0)).decode())


class Shown:
    """What /metrics answered, read by the format's own parser."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.families: dict[str, Metric] = {
            metric.name: metric
            for metric in text_string_to_metric_families(text)  # type: ignore[no-untyped-call]
        }
        self._samples = {
            (sample.name, frozenset(sample.labels.items())): sample
            for metric in self.families.values()
            for sample in metric.samples
        }

    def __len__(self) -> int:
        return len(self._samples)

    def value(self, name: str, **labels: str) -> float:
        """The value of the one sample with exactly these labels."""
        return float(self._samples[name, frozenset(labels.items())].value)

    def exemplar(self, name: str, **labels: str) -> Exemplar | None:
        """Its exemplar."""
        return self._samples[name, frozenset(labels.items())].exemplar

    def total(self, name: str, **labels: str) -> float:
        """The sum over all samples that have these labels."""
        return sum(self.values(name, **labels))

    def values(self, name: str, **labels: str) -> list[float]:
        """The values of all samples that have these labels."""
        wanted = set(labels.items())
        return [float(one.value) for (found, has), one in self._samples.items() if found == name and wanted <= has]
