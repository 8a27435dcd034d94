"""``alerts.md``: what each alert of ``pipetrail rules`` means and what to do, and the series that are recorded."""

from docs._generate.markdown import block, code, page, table
from pipetrail.app.rules import GROUPS, Alert

SOURCE = "src/pipetrail/app/rules.py"

_INTRO = """`pipetrail rules` prints these; the annotation `runbook` of each alert names its place here. How to load
them: [Prometheus](../how-to/prometheus.md). The metrics behind them: [Metrics](metrics.md)."""

_RECORDED = """## Recorded series

Their counters never go back, so they are added up first and derived then. Several instances count as one: the greatest
is taken, since a recorder that moved to another pod goes on with the counts of its journal."""


def write() -> str:
    """The page."""
    parts = [part for group in GROUPS for part in (f"## {_TITLES[group.name]}", *map(_alert, group.alerts))]
    records = [(code(record.name), record.about) for group in GROUPS for record in group.records]
    return page("Alerts", SOURCE, _INTRO, *parts, _RECORDED, table(("Series", "Holds"), records))


_TITLES = {"pipetrail-runs": "Runs", "pipetrail-recorder": "The recorder", "pipetrail-sinks": "Sinks"}


def _alert(alert: Alert) -> str:
    lasting = "at once" if alert.lasting == "0s" else f"after {alert.lasting}"
    facts = f"Severity `{alert.severity}`, {lasting}."
    return "\n\n".join([f"### {alert.name}", facts, block(alert.expr, "promql"), alert.do])
