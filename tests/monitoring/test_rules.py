"""Each rule fires when it should, and only then: Prometheus' own tool plays the series."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import yaml
from click.testing import CliRunner

from docs._generate import metrics
from pipetrail.app import rules
from pipetrail.app.dashboard import VARIABLE_SOURCE, VARIABLES, dashboard
from pipetrail.app.skipping import REASON as SKIPPED
from pipetrail.cli.rules import rules as command
from pipetrail.cli.rules import written
from tests.docs.pages import ROOT
from tests.monitoring.promtool import READY, check_firing, check_rules, words_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

ALERTS = {alert.name: alert for group in rules.GROUPS for alert in group.alerts}
RECORDS = {record.name: record for group in rules.GROUPS for record in group.records}
DEPLOYED = {
    "deploy/prometheus/pipetrail.rules.yaml": "prometheus",
    "deploy/prometheus/prometheusrule.yaml": "prometheusrule",
    "deploy/grafana/pipetrail.json": "dashboard",
}

PIPELINE = 'cluster="prod", system="argo", pipeline="nightly", instance="a", job="pipetrail"'
BARE = PIPELINE.replace('pipeline="nightly"', 'pipeline=""')
NODE = 'category="node", blame="infrastructure"'
USER = 'category="app", blame="user_code"'
NOTHING = 'category="", blame=""'
WEEK = 7 * 24 * 2  # steps of half an hour
LATER = (WEEK + 1) * 30  # minutes


def ended(outcome: str, values: str, why: str = NOTHING, whose: str = PIPELINE) -> str:
    return f'pipetrail_runs_finished_total{{{whose}, outcome="{outcome}", {why}}} {values}'


def corrected(outcome: str, values: str, why: str = NOTHING) -> str:
    return f'pipetrail_runs_corrected_total{{{PIPELINE}, outcome="{outcome}", {why}}} {values}'


def each(failed: Sequence[str], succeeded: str = "0x200") -> list[str]:
    """How a pipeline fared: it has all its series from the beginning."""
    return [ended("Failed", "0x200"), corrected("Failed", "0x200"), *failed, ended("Succeeded", succeeded),
            corrected("Succeeded", "0x200"), ended("Cancelled", "0x200"), corrected("Cancelled", "0x200")]  # fmt: skip


def gauge(name: str, values: str, labels: str = PIPELINE) -> str:
    return f"{name}{{{labels}}} {values}"


SINK = 'sink="os", instance="a"'

# The alert, a name for the case, the series, and the minute at which it fires.
FIRING: tuple[tuple[str, str, list[str], int], ...] = (
    ("PipetrailPipelineFailing", "four of five", each([ended("Failed", "_x10 4x190", USER)], "0x10 1x190"), 30),
    ("PipetrailPipelineFailedInARow", "three", [gauge("pipetrail_pipeline_failed_in_a_row", "0x5 3x60")], 10),
    ("PipetrailRunStuck", "one", [gauge("pipetrail_runs", "1x60", f'{PIPELINE}, state="Stuck"')], 10),
    ("PipetrailRunStuck", "one without a pipeline", [gauge("pipetrail_runs", "1x60", f'{BARE}, state="Stuck"')], 10),
    ("PipetrailRunZombie", "one", [gauge("pipetrail_runs", "1x60", f'{PIPELINE}, state="Zombie"')], 10),
    (
        "PipetrailRunPreemptedAgain",
        "three times, days apart, and for long the same",
        [gauge("pipetrail_run_preemptions_most", "1x130 2x130 3x130")],
        11_400,
    ),
    (
        "PipetrailInfrastructureFailures",
        "five at once, where there were none for a week",
        [ended("Failed", f"0x{WEEK} 5x2", NODE), ended("Succeeded", f"0x{WEEK + 2}")],
        LATER,
    ),
    (
        "PipetrailInfrastructureFailures",
        "the first of all",
        [ended("Failed", "_x30 5x60", NODE), ended("Succeeded", "0x90")],
        40,
    ),
    ("PipetrailNodeSuspect", "one", [gauge("pipetrail_nodes_suspect", "0x5 1x60", 'cluster="prod"')], 10),
    ("PipetrailGone", "no recorder", [f"{READY} 1x2 _x60"], 15),
    ("PipetrailBlind", "not ready", [f"{READY} 0x60"], 10),
    ("PipetrailCannotWrite", "failures", [gauge("pipetrail_journal_failures_total", "0x3 2x60", 'instance="a"')], 8),
    ("PipetrailBehind", "a full queue", [gauge("pipetrail_journal_pending", "4000x60", 'instance="a"')], 10),
    (
        "PipetrailMissingRight",
        "forbidden",
        [gauge("pipetrail_source_state", "1x60", 'cluster="prod", resource="nodes", state="forbidden"')],
        20,
    ),
    (
        "PipetrailGap",
        "what may be lost",
        [gauge("pipetrail_gaps_total", "0x5 1x60", 'cluster="prod", reason="PositionExpired", loss="possible"')],
        10,
    ),
    (
        "PipetrailSinkBehind",
        "ten minutes",
        [gauge("pipetrail_sink_lag_seconds", "600x60", SINK),
         gauge("pipetrail_sink_state", "0x60", f'{SINK}, state="stopped"')],
        15,
    ),
    ("PipetrailSinkDeadLetters", "one", [gauge("pipetrail_sink_dead_letters", "1x60", SINK)], 5),
    ("PipetrailSinkFull", "full", [gauge("pipetrail_sink_state", "1x60", f'{SINK}, state="full"')], 5),
    ("PipetrailSinkSkipped", "pruned", [gauge("pipetrail_sink_skipped_total", "0x5 90x60", SINK)], 10),
)  # fmt: skip

# A name for the case, the series, the minute at which nothing fires.
QUIET: tuple[tuple[str, list[str], int], ...] = (
    ("two failures are chance", each([ended("Failed", "_x10 2x190", USER)]), 30),
    ("more good runs than bad", each([ended("Failed", "_x10 4x190", USER)], "0x10 9x190"), 30),
    (
        "one failure, whose verdict was corrected twice",
        [
            *each([ended("Failed", "_x10 1x190", USER), ended("Failed", "_x11 1x190", NODE),
                   ended("Failed", "_x12 1x190", 'category="oom", blame="user_code"')]),
            corrected("Failed", "_x11 1x190", USER),
            corrected("Failed", "_x12 1x190", NODE),
        ],
        30,
    ),
    ("many failures long ago", each([ended("Failed", "40x144", USER)], "0x144"), 144 * 30),
    ("runs without a pipeline", [gauge("pipetrail_pipeline_failed_in_a_row", "9x60", BARE)], 10),
    ("two in a row", [gauge("pipetrail_pipeline_failed_in_a_row", "2x60")], 10),
    ("stuck for a moment", [gauge("pipetrail_runs", "1x3 0x60", f'{PIPELINE}, state="Stuck"')], 10),
    ("waiting runs", [gauge("pipetrail_runs", "9x60", f'{PIPELINE}, state="Pending"')], 10),
    ("two preemptions", [gauge("pipetrail_run_preemptions_most", "2x60")], 10),
    (
        "infrastructure that always fails as much",
        [ended("Failed", f"0+2.5x{WEEK + 2}", NODE), ended("Succeeded", f"0+1x{WEEK + 2}")],
        LATER,
    ),
    (
        "users' failures are none of the infrastructure",
        [ended("Failed", f"0x{WEEK} 5x2", USER, BARE), ended("Succeeded", f"0x{WEEK + 2}", whose=BARE)],
        LATER,
    ),
    ("no suspect", [gauge("pipetrail_nodes_suspect", "0x60", 'cluster="prod"')], 10),
    ("blind for a moment", [f"{READY} 0x3 1x60"], 10),
    ("failures before, none now", [gauge("pipetrail_journal_failures_total", "5x60", 'instance="a"')], 30),
    ("a burst", [gauge("pipetrail_journal_pending", "4000x2 10x60", 'instance="a"')], 10),
    (
        "a right that is there",
        [gauge("pipetrail_source_state", "0x60", 'cluster="prod", resource="nodes", state="forbidden"')],
        20,
    ),
    (
        "a gap that lost nothing",
        [gauge("pipetrail_gaps_total", "0x5 1x60", 'cluster="prod", reason="PositionExpired", loss="none"')],
        10,
    ),
    (
        "what only a sink missed, which has an alert of its own",
        [gauge("pipetrail_gaps_total", "0x5 1x60", f'cluster="prod", reason="{SKIPPED}", loss="possible"')],
        10,
    ),
    (
        "a sink that somebody stopped",
        [gauge("pipetrail_sink_lag_seconds", "600x60", SINK),
         gauge("pipetrail_sink_state", "1x60", f'{SINK}, state="stopped"')],
        15,
    ),
    ("a sink that is well", [gauge("pipetrail_sink_lag_seconds", "1x60", SINK),
                             gauge("pipetrail_sink_dead_letters", "0x60", SINK),
                             gauge("pipetrail_sink_state", "0x60", f'{SINK}, state="full"'),
                             gauge("pipetrail_sink_skipped_total", "7x60", SINK)], 15),
)  # fmt: skip


@pytest.mark.parametrize(
    ("alert", "series", "minute"),
    [(alert, series, minute) for alert, _, series, minute in FIRING],
    ids=[f"{alert}: {name}" for alert, name, _, _ in FIRING],
)
def test_it_fires_alone(tmp_path: Path, alert: str, series: list[str], minute: int) -> None:
    check_firing(tmp_path, series, minute, [alert])


@pytest.mark.parametrize(
    ("series", "minute"), [(series, minute) for _, series, minute in QUIET], ids=[name for name, _, _ in QUIET]
)
def test_nothing_fires(tmp_path: Path, series: list[str], minute: int) -> None:
    check_firing(tmp_path, series, minute, [])


def test_each_alert_has_a_case_in_which_it_fires() -> None:
    assert {alert for alert, _, _, _ in FIRING} == set(ALERTS)


@pytest.mark.parametrize(
    ("alert", "series", "minute"),
    [(alert, series, minute) for alert, _, series, minute in FIRING],
    ids=[f"{alert}: {name}" for alert, name, _, _ in FIRING],
)
def test_the_words_of_an_alert_can_be_filled_in(tmp_path: Path, alert: str, series: list[str], minute: int) -> None:
    said = words_of(tmp_path, series, minute, alert)

    assert f'alertname="{alert}"' in said
    assert "error" not in said.lower()
    assert "<no value>" not in said
    assert "{{" not in said


def test_a_recorder_that_moved_is_not_counted_twice(tmp_path: Path) -> None:
    moved = [
        line.replace('instance="a"', f'instance="{name}"').replace("4x190", values)
        for name, values in (("a", "2x190"), ("b", "2x190"))
        for line in each([ended("Failed", "_x10 4x190", USER)])
    ]

    check_firing(tmp_path, moved, 30, [])


# --- What they are made of

SELECTOR = re.compile(r"\b([a-z_:][\w:]*pipetrail[\w:]*|pipetrail[\w:]*)(?:\{([^}]*)\})?")
GROUPING = re.compile(r"\b(?:by|without|ignoring|on)\s*\(([^)]*)\)")
TARGET = {"job", "instance", "pod"}


def known() -> dict[str, set[str]]:
    """Each metric and each recorded series with its labels."""
    found = {name: set(labels) for name, labels, _ in metrics.metrics()}
    for record in RECORDS.values():
        by = re.match(r"(?:max|sum) by \(([^)]*)\)", record.expr)
        first = SELECTOR.search(record.expr)
        assert first is not None
        found[record.name] = set(by[1].replace(" ", "").split(",")) if by else found[first[1]]
    return found


def queries() -> list[str]:
    """All queries of the rules and of the dashboard."""
    found = [record.expr for record in RECORDS.values()] + [alert.expr for alert in ALERTS.values()]
    return found + [target["expr"] for panel in dashboard()["panels"] for target in panel.get("targets", ())]


@pytest.mark.parametrize("query", queries())
def test_a_query_asks_for_metrics_and_labels_that_exist(query: str) -> None:
    exist = known()
    every = set().union(*exist.values()) | TARGET
    selectors = SELECTOR.findall(query)

    assert selectors
    for name, matchers in selectors:
        assert name in exist
        assert set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", re.sub(r'"[^"]*"', "", matchers))) <= exist[name] | TARGET
    for labels in GROUPING.findall(query):
        assert set(filter(None, labels.replace(" ", "").split(","))) <= every


def test_the_variables_of_the_dashboard_are_labels_of_their_metric() -> None:
    assert set(VARIABLES) <= known()[VARIABLE_SOURCE]


def test_prometheus_reads_the_rules_and_each_query_of_the_dashboard(tmp_path: Path) -> None:
    check_rules(tmp_path, rules.document())
    check_rules(tmp_path, rules.prometheus_rule()["spec"])
    parts = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(queries())]
    check_rules(tmp_path, {"groups": [{"name": "queries", "rules": parts}]})


def test_no_two_panels_lie_over_one_another() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells


@pytest.mark.parametrize("alert", ALERTS.values(), ids=ALERTS)
def test_each_alert_says_what_is_wrong_and_where_to_read_what_to_do(alert: rules.Alert) -> None:
    page, _, anchor = alert.runbook.partition("#")
    headings = re.findall(r"^#+ (.+)$", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)

    assert anchor in [heading.lower() for heading in headings]
    assert alert.summary
    assert alert.description.endswith((".", "?"))


@pytest.mark.parametrize(("file", "form"), DEPLOYED.items())
def test_what_is_deployed_is_what_the_command_prints(file: str, form: str) -> None:
    assert (ROOT / file).read_text(encoding="utf-8") == written(form), f"pipetrail rules -o {form} > {file}"


def test_the_command_prints_the_rule_file_if_nothing_is_said() -> None:
    done = CliRunner().invoke(command)

    assert done.exit_code == 0
    assert yaml.safe_load(done.output) == rules.document()


def test_the_operators_object_has_the_same_rules() -> None:
    done = CliRunner().invoke(command, ["-o", "prometheusrule"])
    found = yaml.safe_load(done.output)

    assert (found["apiVersion"], found["kind"]) == ("monitoring.coreos.com/v1", "PrometheusRule")
    assert found["spec"] == rules.document()
