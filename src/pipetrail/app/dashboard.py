"""A Grafana dashboard of the metrics: what runs, what fails and whose turn it is, and whether all of it is seen."""

from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from pipetrail.app.rules import FAILED_RATIO, FINISHED, INFRASTRUCTURE_HOUR

_WIDTH = 24  # of a row of Grafana's grid
_HEIGHT = 8
_CHOSEN = 'cluster=~"$cluster", system=~"$system", pipeline=~"$pipeline"'
_CLUSTER = 'cluster=~"$cluster"'


class Panel(msgspec.Struct, frozen=True, kw_only=True):
    """One picture: a title, what it shows, and the queries with their legends."""

    title: str
    about: str
    queries: tuple[tuple[str, str], ...]
    kind: Literal["timeseries", "stat"] = "timeseries"
    unit: str = "short"
    width: int = 12


ROWS: tuple[tuple[str, tuple[Panel, ...]], ...] = (
    (
        "Now",
        (
            Panel(
                title="Runs",
                about="Runs that are not over, by state.",
                queries=((f"sum by (state) (max without (instance, pod) (pipetrail_runs{{{_CHOSEN}}}))", "{{state}}"),),
                kind="stat",
            ),
            Panel(
                title="Nodes that hurt several runs",
                about="Within a day; `pipetrail nodes` names them.",
                queries=((f"max by (cluster) (pipetrail_nodes_suspect{{{_CLUSTER}}})", "{{cluster}}"),),
                kind="stat",
                width=6,
            ),
            Panel(
                title="Recorder",
                about="1 while nothing is blind.",
                queries=(("min(pipetrail_ready)", "sees all"),),
                kind="stat",
                width=6,
            ),
        ),
    ),
    (
        "Runs",
        (
            Panel(
                title="Ended within an hour",
                about="By outcome.",
                queries=((f"sum by (outcome) (increase({FINISHED.name}{{{_CHOSEN}}}[1h]))", "{{outcome}}"),),
            ),
            Panel(
                title="Why runs failed",
                about="Failures within a day, by category and blame of their verdicts.",
                queries=(
                    (
                        "sum by (category, blame) (max without (instance, pod) (increase("
                        f'pipetrail_runs_finished_total{{{_CHOSEN}, outcome="Failed"}}[1d]))) > 0',
                        "{{category}} ({{blame}})",
                    ),
                ),
            ),
            Panel(
                title="Share of failed runs",
                about="Within a day, the ten worst pipelines.",
                queries=((f"topk(10, {FAILED_RATIO.name}{{{_CHOSEN}}})", "{{system}} {{pipeline}}"),),
                unit="percentunit",
            ),
            Panel(
                title="Failures of the infrastructure",
                about="Runs within an hour whose verdict blames nodes, network or storage.",
                queries=((f"{INFRASTRUCTURE_HOUR.name}{{{_CLUSTER}}}", "{{cluster}}"),),
            ),
            Panel(
                title="How long phases take",
                about="The median of runs that ended within a day.",
                queries=(
                    (
                        "histogram_quantile(0.5, sum by (phase, le) (increase("
                        f"pipetrail_run_phase_seconds_bucket{{{_CHOSEN}}}[1d])))",
                        "{{phase}}",
                    ),
                ),
                unit="s",
            ),
            Panel(
                title="Interruptions",
                about="Restarts, preemptions and evictions within an hour.",
                queries=tuple(
                    (f"sum(increase(pipetrail_run_{word}_total{{{_CHOSEN}}}[1h]))", word)
                    for word in ("restarts", "preemptions", "evictions")
                ),
            ),
        ),
    ),
    (
        "Events",
        (
            Panel(
                title="Warnings and errors",
                about="How often something of a category happened each second.",
                queries=(
                    (
                        "sum by (category, severity) (rate("
                        f'pipetrail_events_total{{{_CLUSTER}, severity!="info"}}[5m]))',
                        "{{category}} {{severity}}",
                    ),
                ),
                unit="ops",
            ),
            Panel(
                title="Most frequent reasons",
                about="The ten that happened most within an hour.",
                queries=(
                    (f"topk(10, sum by (reason) (increase(pipetrail_events_total{{{_CLUSTER}}}[1h])))", "{{reason}}"),
                ),
            ),
        ),
    ),
    (
        "Recorder and sinks",
        (
            Panel(
                title="Lag",
                about="How far the journal is behind the clusters, and each sink behind the journal.",
                queries=(
                    ("pipetrail_lag_seconds", "journal"),
                    ("pipetrail_sink_lag_seconds", "{{sink}}"),
                ),
                unit="s",
            ),
            Panel(
                title="Sent",
                about="Events each second, by sink.",
                queries=(("rate(pipetrail_sink_sent_total[5m])", "{{sink}}"),),
                unit="ops",
            ),
            Panel(
                title="Failures to send",
                about="Each second, by sink and kind.",
                queries=(("rate(pipetrail_sink_failures_total[5m]) > 0", "{{sink}} {{failure}}"),),
                unit="ops",
            ),
            Panel(
                title="Journal",
                about="Bytes in use.",
                queries=(("pipetrail_journal_bytes", "{{instance}}"),),
                unit="bytes",
            ),
        ),
    ),
)
"""The dashboard: rows with their panels."""

VARIABLES = ("cluster", "system", "pipeline")
VARIABLE_SOURCE = "pipetrail_runs_started_total"


def dashboard() -> dict[str, Any]:
    """The dashboard, as Grafana imports it. It asks which Prometheus is meant."""
    return {
        "title": "pipetrail",
        "uid": "pipetrail",
        "tags": ["pipetrail", "kubernetes"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "1m",
        "time": {"from": "now-24h", "to": "now"},
        "templating": {
            "list": [
                {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"},
                *(_variable(name) for name in VARIABLES),
            ]
        },
        "panels": list(_panels()),
    }


def _variable(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "type": "query",
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "query": f"label_values({VARIABLE_SOURCE}, {name})",
        "refresh": 2,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }


def _panels() -> Iterator[dict[str, Any]]:
    number = top = 0
    for title, panels in ROWS:
        number += 1
        yield {
            "id": number,
            "type": "row",
            "title": title,
            "collapsed": False,
            "gridPos": {"x": 0, "y": top, "w": _WIDTH, "h": 1},
            "panels": [],
        }
        top, left = top + 1, 0
        for panel in panels:
            number += 1
            if left + panel.width > _WIDTH:
                top, left = top + _HEIGHT, 0
            yield {
                "id": number,
                "type": panel.kind,
                "title": panel.title,
                "description": panel.about,
                "datasource": {"type": "prometheus", "uid": "${datasource}"},
                "gridPos": {"x": left, "y": top, "w": panel.width, "h": _HEIGHT},
                "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
                "targets": [
                    {"refId": chr(ord("A") + place), "expr": expr, "legendFormat": legend}
                    for place, (expr, legend) in enumerate(panel.queries)
                ],
            }
            left += panel.width
        top += _HEIGHT
