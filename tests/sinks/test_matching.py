"""The rules that choose what a sink is sent."""

from typing import Any

import msgspec
import pytest

from pipetrail.model import Delivery, Standing
from pipetrail.sinks.matching import FIELDS, Filter
from pipetrail.testing.deliveries import START, delivery


def of(**changes: Any) -> Delivery:
    found = delivery(7)
    return msgspec.structs.replace(found, event=msgspec.structs.replace(found.event, **changes))


RUN = Standing(
    cluster="prod",
    system="batch",
    run="run-1",
    name="train",
    state="Failed",
    at=START,
    pipeline="nightly",
    queue="gpu",
    labels={"team": "vision"},
    reason="OOMKilled",
    category="memory",
    blame="configuration",
)
WITH_RUN = msgspec.structs.replace(delivery(7), run=RUN)
VERDICT = of(
    origin="verdict", verdict={"cause": "oom_killed", "category": "memory", "blame": "configuration", "pipeline": "p"}
)


@pytest.mark.parametrize(
    ("rule", "holds"),
    [
        ({"namespace": "ml"}, True),
        ({"namespace": "ML"}, False),
        ({"kind": "pod"}, True),
        ({"name": "worker-*"}, True),
        ({"name": "*-7"}, True),
        ({"name": "*orker*"}, True),
        ({"name": "*"}, True),
        ({"name": "worker"}, False),
        ({"uid": "uid-7"}, True),
        ({"reason": ["OOMKilled", "backoff"]}, True),
        ({"severity": "error"}, False),
        ({"severity": ["error", "Warning"]}, True),
        ({"origin": "kubernetes"}, True),
        ({"type": "warning"}, True),
        ({"node": "*"}, True),
        ({"node": "n1"}, False),
        ({"text": "FAILED container"}, True),
        ({"text": "failed pod"}, False),
        ({"run": "train"}, True),
        ({"run": "run-1"}, True),
        ({"system": "batch"}, True),
        ({"cluster": "prod"}, True),
        ({"cluster": "production"}, True),
        ({"namespace": "ml", "severity": "error"}, False),
        ({"pipeline": "nightly"}, False),
    ],
)
def test_a_rule_holds_when_all_its_fields_do(rule: dict[str, Any], holds: bool) -> None:
    assert Filter(rule, [], {"prod": "production"}).keeps(delivery(7)) is holds


@pytest.mark.parametrize(
    "rule",
    [
        {"pipeline": "nightly"},
        {"queue": "gpu"},
        {"team": "vision"},
        {"state": "failed"},
        {"cause": "oomkilled"},
        {"cause": "memory"},
        {"category": "memory"},
        {"blame": "configuration"},
    ],
)
def test_a_rule_about_the_run_reads_how_it_stands(rule: dict[str, Any]) -> None:
    rules = Filter(rule, [])

    assert rules.by_run
    assert rules.keeps(WITH_RUN)
    assert not rules.keeps(delivery(7))


@pytest.mark.parametrize("rule", [{"cause": "oom_killed"}, {"blame": "configuration"}, {"pipeline": "p"}])
def test_a_rule_about_the_cause_reads_the_verdict(rule: dict[str, Any]) -> None:
    assert Filter(rule, []).keeps(VERDICT)


def test_one_rule_of_a_list_is_enough_and_drop_comes_after() -> None:
    rules = Filter([{"severity": "error"}, {"kind": "Pod"}], [{"reason": "Back*"}])

    assert rules.keeps(of(reason="OOMKilled"))
    assert not rules.keeps(of(reason="BackOff"))


def test_without_rules_all_passes() -> None:
    assert Filter([], []).passes_all
    assert Filter([], []).keeps(delivery(1))


def test_where_a_rule_cant_be_judged_the_event_is_kept_and_counted() -> None:
    rules = Filter({"blame": "policy"}, {"blame": "none"})

    assert rules.keeps(of(verdict=["no", "mapping"]))
    assert rules.errors == 1


@pytest.mark.parametrize(
    ("match", "text"),
    [
        ({"sevrity": "error"}, "match.sevrity: unknown; allowed are cluster, namespace"),
        ([{"kind": "Pod"}, {"severity": "eror"}], "match[1].severity: 'eror' is not one of info, warning, error"),
        ({"state": "Broken"}, "match.state: 'Broken' is not one of Pending, Running"),
        ({"blame": "me"}, "match.blame: 'me' is not one of infrastructure"),
        ({"origin": "kube*"}, "match.origin: 'kube*' is not one of kubernetes, status, gap, verdict, run"),
        ({}, "match: a rule without a field"),
        ([{}], "match[0]: a rule without a field"),
        ({"name": []}, "match.name: an empty list"),
        ({"name": True}, "match.name: True is no text; put it in quotes"),
        ({"name": {"a": 1}}, "match.name: {'a': 1} is no text"),
        ({"name": "a*b"}, "match.name: 'a*b' has a * inside"),
    ],
)
def test_a_wrong_rule_is_named_with_what_is_allowed(match: Any, text: str) -> None:
    with pytest.raises(ValueError, match="match") as error:
        Filter(match, [])

    assert text in str(error.value)


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ValueError, match="unknown") as error:
        Filter([{"x": 1}, {"y": 2}], {"z": 3})

    assert [line.split(":")[0] for line in str(error.value).splitlines()] == ["match[0].x", "match[1].y", "drop.z"]


def test_the_words_of_closed_sets_are_known() -> None:
    assert FIELDS["severity"] == ("info", "warning", "error")
    assert FIELDS["name"] == ()
