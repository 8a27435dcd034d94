"""The rules of the ranking, each by itself: facts, signals, exit codes, veto, edges, choice, confidence."""

import msgspec

from pipetrail.analysis.diagnosis import Case, Verdict, diagnose
from pipetrail.analysis.diagnosis.edges import Graph
from pipetrail.analysis.diagnosis.exits import rewrite
from pipetrail.analysis.diagnosis.facts import facts
from pipetrail.analysis.diagnosis.lives import lives
from pipetrail.analysis.diagnosis.neighbours import amount
from pipetrail.analysis.diagnosis.repeats import repeats
from pipetrail.analysis.diagnosis.signals import Signal, signals
from pipetrail.analysis.diagnosis.veto import veto
from pipetrail.analysis.diagnosis.wording import quoted
from pipetrail.catalogue import Catalogue
from pipetrail.model.times import SECOND
from tests.analysis.diagnosis.story import START, case, changed, event

ONE = {"p": {"node": "n1", "phase": "Failed", "started": "0:00"}}


def read(lines: list[str], known: Catalogue, pods: dict[str, dict[str, object]] | None = None) -> list[Signal]:
    """The signals of a run, after exit codes and veto."""
    found = case({"pods": ONE if pods is None else pods, "events": lines})
    told = facts(found)
    alive = lives(found, told)
    seen = signals(told, known)
    rewrite(seen, told, alive, known)
    repeats(seen, told, alive)
    veto(seen, told, alive, known)
    return seen


def only(seen: list[Signal], reason: str) -> Signal:
    return next(one for one in seen if one.reason == reason)


def judged(lines: list[str], known: Catalogue, **story: object) -> Verdict | None:
    return diagnose(case({"pods": ONE, "events": lines, **story}), known)


def test_events_of_strangers_are_no_facts() -> None:
    found = case({"pods": ONE, "events": ["0:01 Pod/z Failed W by:kubelet other | x", "0:02 Node/n9 NodeNotReady N"]})

    assert [fact for fact in facts(found) if not fact.stated] == []


def test_an_event_without_a_uid_is_about_the_pod_that_bore_the_name_then() -> None:
    found = case({"pods": ONE})
    made = event(1, "0:01 Pod/p Killing N by:kubelet | Stopping container main")
    bare = msgspec.structs.replace(made, about=msgspec.structs.replace(made.about, uid=""), links=())

    told = [fact for fact in facts(changed(found, events=(bare,))) if fact.reason == "Killing"]

    assert [(fact.key, fact.own) for fact in told] == [("p", True)]


def test_the_same_thing_told_often_is_one_signal(known: Catalogue) -> None:
    seen = read([f"0:{second:02} Pod/p FailedMount W by:kubelet x2 | volume broke" for second in range(10, 40)], known)

    assert [(one.reason, one.count) for one in seen if one.reason == "FailedMount"] == [("FailedMount", 60)]


def test_an_event_and_the_state_that_say_the_same_are_one_signal(known: Catalogue) -> None:
    text = "0/4 nodes are available: 4 Insufficient nvidia.com/gpu."
    seen = read(
        [
            f"0:01 Pod/p Unschedulable PodScheduled=False | {text}",
            f"0:02 Pod/p FailedScheduling W by:default-scheduler | {text}",
        ],
        known,
        {"p": {}},
    )

    assert [one.reason for one in seen] == ["FailedScheduling"]


def test_clauses_about_nodes_that_were_never_meant_come_last(known: Catalogue) -> None:
    text = "0/9 nodes are available: 8 node(s) had untolerated taint {team: a}, 1 Insufficient cpu."
    seen = read([f"0:01 Pod/p FailedScheduling W by:default-scheduler | {text}"], known, {"p": {}})

    assert seen[0].cause is not None
    assert (seen[0].cause.id, [cause.id for cause, _ in seen[0].others]) == ("insufficient_cpu", ["untolerated_taint"])


def test_what_no_empty_node_could_hold_is_a_matter_of_configuration(known: Catalogue) -> None:
    text = (
        "0/4 nodes are available: 4 Insufficient cpu. preemption: 0/4 nodes are available: 4 Preemption is not helpful"
    )
    seen = read([f"0:01 Pod/p FailedScheduling W by:default-scheduler | {text} for scheduling."], known, {"p": {}})

    assert seen[0].blame == "configuration"


def test_137_after_an_order_to_stop_is_no_end_of_its_own(known: Catalogue) -> None:
    seen = read(["1:00 Pod/p Killing N by:kubelet | Stopping container main", "1:30 Pod/p exit:137 exit:137"], known)

    assert only(seen, "exit:137").role == "consequence"


def test_137_out_of_nowhere_is_nobodys_memory(known: Catalogue) -> None:
    found = only(read(["1:30 Pod/p exit:137 exit:137"], known), "exit:137")

    assert found.category != "oom"
    assert found.cause is not None
    assert found.cause.id == "killed_from_inside"


def test_137_that_the_kubelet_made_up_is_a_lost_container(known: Catalogue) -> None:
    found = only(read(["1:30 Pod/p ContainerStatusUnknown killed:137"], known), "ContainerStatusUnknown")

    assert found.category == "node"


def test_the_same_code_on_two_nodes_is_the_programs(known: Catalogue) -> None:
    pods: dict[str, dict[str, object]] = {
        "p1": {"node": "n1", "phase": "Failed", "member": "m", "try": 1},
        "p2": {"node": "n2", "phase": "Failed", "member": "m", "try": 2},
    }
    lines = ["1:00 Pod/p1 exit:134 exit:134 on:n1", "9:00 Pod/p2 exit:134 exit:134 on:n2 try:2"]

    assert {one.blame for one in read(lines, known, pods) if one.reason == "exit:134"} == {"user_code"}


def test_an_end_after_the_order_to_go_is_ruled_out(known: Catalogue) -> None:
    seen = read(["1:00 Pod/p Terminating status", "1:10 Pod/p exit:143 exit:143"], known)

    assert only(seen, "exit:143").gone == "the pod had been told to go"


def test_a_wait_that_ended_has_passed(known: Catalogue) -> None:
    seen = read(
        [
            "0:01 Pod/p FailedScheduling W by:default-scheduler | 0/1 nodes are available: 1 Insufficient cpu.",
            "0:30 Pod/p Scheduled N by:default-scheduler",
        ],
        known,
    )

    assert only(seen, "FailedScheduling").passed


def test_a_refused_creation_that_succeeded_later_has_passed(known: Catalogue) -> None:
    lines = ["0:01 Job/r FailedCreate W by:job-controller | boom", "0:30 Job/r SuccessfulCreate N by:job-controller"]

    assert only(read(lines, known, {}), "FailedCreate").passed


def test_a_probe_that_ended_nothing_is_ruled_out(known: Catalogue) -> None:
    lines = [
        "0:40 Pod/p Unhealthy W by:kubelet in:main | Readiness probe failed: connect: connection refused",
        "1:00 Pod/p exit:1 exit:1",
    ]

    assert only(read(lines, known), "Unhealthy").gone


def graph(seen: list[Signal], known: Catalogue, found: Case) -> Graph:
    return Graph(seen, known, lives(found, facts(found)))


def test_a_fault_explains_what_is_on_its_node_and_not_what_is_on_another(known: Catalogue) -> None:
    found = case(
        {
            "pods": {"p": {"node": "n1", "phase": "Failed"}, "q": {"node": "n2", "phase": "Failed"}},
            "events": [
                "1:00 Node/n1 xid:79 W by:nvidia-driver | fell off",
                "1:10 Pod/p exit:1 exit:1 on:n1",
                "1:10 Pod/q exit:1 exit:1 on:n2",
            ],
        }
    )
    seen = signals(facts(found), known)
    below = graph(seen, known, found).below(only(seen, "xid:79"))

    assert {one.about.name for one in below if one.ended and one.node == "n1"} == {"p"}
    assert not any(one.pod == "q" and one in graph(seen, known, found).effects.get(seen[0], []) for one in seen)


def test_a_fault_long_before_explains_nothing(known: Catalogue) -> None:
    found = case(
        {
            "pods": ONE,
            "events": ["1:00 Node/n1 xid:79 W by:nvidia-driver | fell off", "2:00:00 Pod/p exit:1 exit:1 on:n1"],
        }
    )
    seen = signals(facts(found), known)

    assert graph(seen, known, found).effects == {}


def test_a_deadline_is_the_cause_only_where_nothing_else_is(known: Catalogue) -> None:
    line = "9:00 Job/r DeadlineExceeded W by:job-controller | Job was active longer than specified deadline"
    alone = judged(["0:01 Pod/p Started N by:kubelet in:main", line], known)
    other = judged(["8:00 Pod/p OOMKilled killed:137", line], known)

    assert alone is not None
    assert other is not None
    assert (alone.cause, alone.confidence) == ("deadline_passed", "medium")
    assert other.cause == "oom_killed"


def test_a_wish_of_a_person_is_the_cause_only_where_nothing_else_is(known: Catalogue) -> None:
    stop = "9:00 Workflow/r WorkflowNodeFailed W by:workflow-controller | workflow shutdown with strategy:  Terminate"
    pull = '0:02 Pod/p Failed W by:kubelet in:main | Failed to pull image "a:1": a:1: not found'
    alone = judged(["0:01 Pod/p Started N by:kubelet in:main", stop], known)
    other = judged([pull, stop], known, pods={"p": {"node": "n1"}})

    assert alone is not None
    assert other is not None
    assert (alone.category, other.cause) == ("cancelled", "image_not_found")


def test_two_roots_that_blame_different_people_make_it_less_sure(known: Catalogue) -> None:
    oom = "1:00 Pod/p OOMKilled killed:137"
    pods = {"p": {"node": "n1", "phase": "Failed"}, "q": {"node": "n2", "phase": "Failed"}}
    alone = judged([oom], known)
    both = judged([oom, "1:01 Pod/q exit:1 exit:1 on:n2 | NoSuchKey"], known, pods=pods)

    assert alone is not None
    assert both is not None
    assert (alone.confidence, both.confidence) == ("high", "medium")


def test_a_wait_that_has_just_begun_is_not_sure_to_last(known: Catalogue) -> None:
    line = '0:00 Job/r FailedCreate W by:job-controller | admission webhook "w" denied the request: no'
    young = judged([line], known, state="Pending", now="0:30", pods={})
    old = judged([line], known, state="Pending", now="30:00", pods={})

    assert young is not None
    assert old is not None
    assert (young.confidence, old.confidence) == ("medium", "high")


def test_history_that_has_expired_is_named(known: Catalogue) -> None:
    pods = {"p": {"node": "n1", "phase": "Failed", "exit": 139, "started": "0:00"}}
    found = judged([], known, pods=pods, now="48:00:00")

    assert found is not None
    assert found.confidence == "low"
    assert any("expired history" in text for text in found.missing)


def test_a_gap_elsewhere_in_time_does_not_matter(known: Catalogue) -> None:
    gaps = [["pods", "50:00", "51:00", "restarted"]]
    found = judged(["1:00 Pod/p OOMKilled killed:137"], known, gaps=gaps)

    assert found is not None
    assert (found.confidence, found.missing) == ("high", ())


def test_quantities_are_read() -> None:
    assert [amount(text) for text in ("180Gi", "2M", "7", "", "many")] == [180 * 1024**3, 2e6, 7.0, 0.0, 0.0]


def test_a_foreign_message_is_one_line_of_a_bounded_length() -> None:
    assert len(quoted("long\n" * 1000)) <= 400
    assert "\n" not in quoted("a\nb")


def begun_late(gaps: list[list[str]], known: Catalogue) -> Verdict | None:
    """The verdict on a run that was made 30 s after the recording began."""
    found = case({"pods": ONE, "events": ["1:00 Pod/p OOMKilled killed:137"], "gaps": gaps})
    run = msgspec.structs.replace(found.run, created=START + 30 * SECOND)
    return diagnose(msgspec.structs.replace(found, run=run), known)


def test_a_gap_that_was_over_before_the_run_was_made_does_not_matter(known: Catalogue) -> None:
    found = begun_late([["pods", "0:00", "0:20", "FirstStart"]], known)

    assert found is not None
    assert (found.confidence, found.missing) == ("high", ())


def test_gaps_of_one_start_are_told_in_one_sentence(known: Catalogue) -> None:
    found = begun_late([[name, "0:00", "0:40", "FirstStart"] for name in ("events", "jobs", "nodes", "pods")], known)

    assert found is not None
    (told,) = found.missing
    assert told.startswith("gap: events, jobs, nodes and 1 more were not seen from ")
