"""Counts of runs: how they ended, what interrupted them, how long they took, and under which pipeline that counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import pytest

from pipetrail.analysis.states import FINAL, State
from pipetrail.app.run_metrics import OPEN, PHASES, most_series
from pipetrail.model import Event, Link, ObjectRef, fingerprint
from pipetrail.model.times import SECOND
from pipetrail.stores.sqlite import Journal, Retention
from pipetrail.stores.sqlite.retention import prune
from pipetrail.stores.sqlite.run_tallies import BUCKETS, PLACES
from pipetrail.stores.sqlite.tallied import _OPEN
from pipetrail.stores.sqlite.turns import OVER
from pipetrail.testing.store_contract import event
from pipetrail.testing.strategies import START
from tests.monitoring.counted import CLOSED, CLUSTER, a_run, counted, put, shown

if TYPE_CHECKING:
    from pathlib import Path

NIGHTLY = {"cluster": CLUSTER, "system": "argo", "pipeline": "nightly"}
DAY = 24 * 3600 * SECOND
MADE = {"outcome": "Failed", "category": "oom", "blame": "user_code"}


def test_every_state_of_a_run_is_either_open_or_over() -> None:
    assert set(OVER) == FINAL
    assert {*OVER, *_OPEN} == set(get_args(State))
    assert set(OPEN) <= set(_OPEN)


def test_an_end_counts_by_what_its_verdict_says_and_names_the_run(journal: Journal) -> None:
    put(journal, a_run("r1", "Failed", category="oom", blame="user_code"), a_run("r2", "Succeeded"))

    found = shown(journal)

    assert found.value("pipetrail_runs_finished_total", **NIGHTLY, **MADE) == 1
    assert found.total("pipetrail_runs_finished_total", outcome="Succeeded") == 1
    exemplar = found.exemplar("pipetrail_runs_finished_total", **NIGHTLY, **MADE)
    assert exemplar is not None
    assert exemplar.labels == {"run": "r1"}


def test_each_outcome_is_there_at_zero_before_anything_ends(journal: Journal) -> None:
    put(journal, a_run())

    found = shown(journal)

    for outcome in OVER:
        nothing = {"outcome": outcome, "category": "", "blame": ""}
        assert found.value("pipetrail_runs_finished_total", **NIGHTLY, **nothing) == 0
        assert found.value("pipetrail_runs_corrected_total", **NIGHTLY, **nothing) == 0


def test_a_better_verdict_counts_the_run_anew_and_corrects_the_first_count(journal: Journal) -> None:
    put(journal, a_run("r1", "Failed", category="app", blame="user_code"))
    counted(journal)
    put(journal, a_run("r1", "Failed", category="node", blame="infrastructure"))
    found = shown(journal)

    first = {"outcome": "Failed", "category": "app", "blame": "user_code"}
    better = {"outcome": "Failed", "category": "node", "blame": "infrastructure"}
    assert found.value("pipetrail_runs_finished_total", **NIGHTLY, **first) == 1
    assert found.value("pipetrail_runs_corrected_total", **NIGHTLY, **first) == 1
    assert found.value("pipetrail_runs_finished_total", **NIGHTLY, **better) == 1
    assert found.total("pipetrail_runs_finished_total") - found.total("pipetrail_runs_corrected_total") == 1


def test_no_count_ever_goes_down(journal: Journal) -> None:
    story = (
        a_run("r1", "Running", restarts=5),
        a_run("r1", "Failed", START + 1, restarts=2, category="app", blame="user_code"),
        a_run("r1", "Failed", START + 1, restarts=2, category="node", blame="infrastructure"),
        a_run("r1", "Cancelled", START + 2),
        a_run("r1", "Running", START + 3, attempts=2),
        a_run("r1", "Succeeded", START + 4, attempts=2, pipeline="weekly"),
    )
    before: dict[tuple[str, str], float] = {}
    for turn in story:
        put(journal, turn)
        now = {
            (sample.name, str(sorted(sample.labels.items()))): sample.value
            for metric in shown(journal).families.values()
            if metric.type in ("counter", "histogram")
            for sample in metric.samples
        }
        assert {key: value for key, value in before.items() if now[key] < value} == {}
        before = now


def test_a_run_that_is_tried_again_ends_again(journal: Journal) -> None:
    put(journal, a_run("r1", "Failed", category="oom", blame="user_code"))
    put(journal, a_run("r1", "Running", START + 1, attempts=2))
    put(journal, a_run("r1", "Failed", START + 2, attempts=2, category="oom", blame="user_code"))

    found = shown(journal)

    assert found.value("pipetrail_runs_finished_total", **NIGHTLY, **MADE) == 2
    assert found.value("pipetrail_runs_started_total", **NIGHTLY) == 1


def test_a_category_that_the_catalogue_does_not_have_is_other(journal: Journal) -> None:
    put(journal, a_run("r1", "Failed", category="made-up", blame="somebody"))

    found = shown(journal)

    labels = {"outcome": "Failed", "category": "other", "blame": "unknown"}
    assert found.value("pipetrail_runs_finished_total", **NIGHTLY, **labels) == 1


def test_t66_a_run_that_is_preempted_three_times_days_apart_counts_three_and_says_so_at_once(
    journal: Journal,
) -> None:
    for time in range(4):
        state = "Preempted" if time else "Running"
        put(journal, a_run("r1", state, START + time * 3 * DAY, preemptions=time))
        # What the cluster forgets meanwhile, and the journal, too.
        prune(journal, Retention(age=DAY), START + time * 3 * DAY)

    found = shown(journal)

    assert found.value("pipetrail_run_preemptions_total", **NIGHTLY) == 3
    assert found.value("pipetrail_run_preemptions_most", **NIGHTLY) == 3
    assert found.value("pipetrail_runs", **NIGHTLY, state="Preempted") == 1


def test_a_run_that_is_over_is_no_preempted_one_any_more(journal: Journal) -> None:
    put(journal, a_run("r1", "Preempted", preemptions=3))
    put(journal, a_run("r1", "Succeeded", START + 1, preemptions=3))

    found = shown(journal)

    assert found.value("pipetrail_run_preemptions_most", **NIGHTLY) == 0
    assert found.value("pipetrail_run_preemptions_total", **NIGHTLY) == 3


def test_phases_are_observed_once_when_the_run_is_over(journal: Journal) -> None:
    phases = {"queued": 90 * SECOND, "running": 3600 * SECOND}
    put(journal, a_run("r1", "Running", phases={"queued": 90 * SECOND}))
    put(journal, a_run("r1", "Failed", START + 1, phases=phases, category="app", blame="user_code"))
    put(journal, a_run("r1", "Failed", START + 1, phases=phases, category="oom", blame="user_code"))

    found = shown(journal)

    queued = NIGHTLY | {"phase": "queued"}
    assert found.value("pipetrail_run_phase_seconds_bucket", **queued, le="60.0") == 0
    assert found.value("pipetrail_run_phase_seconds_bucket", **queued, le="300.0") == 1
    assert found.value("pipetrail_run_phase_seconds_count", **queued) == 1
    assert found.value("pipetrail_run_phase_seconds_sum", **queued) == 90
    exemplar = found.exemplar("pipetrail_run_phase_seconds_bucket", **queued, le="300.0")
    assert exemplar is not None
    assert (exemplar.labels, exemplar.value) == ({"run": "r1"}, 90)


def test_runs_now_are_counted_by_state_and_gone_states_are_zero(journal: Journal) -> None:
    put(journal, a_run("r1", "Pending"), a_run("r2", "Stuck"), a_run("r3", "Pending"), a_run("r4", "Omitted"))
    put(journal, a_run("r2", "Succeeded", START + 1))

    found = shown(journal)

    now = {state: found.value("pipetrail_runs", **NIGHTLY, state=state) for state in OPEN}
    assert now == dict.fromkeys(OPEN, 0) | {"Pending": 2, "Unknown": 1}


def test_failures_in_a_row_end_with_a_good_run_and_cancelled_ones_do_not_count(journal: Journal) -> None:
    rows = []
    for number, state in enumerate(("Failed", "Cancelled", "Failed", "Failed", "Succeeded", "Failed")):
        put(journal, a_run(f"r{number}", state, START + number))
        rows.append(shown(journal).value("pipetrail_pipeline_failed_in_a_row", **NIGHTLY))

    assert rows == [1, 1, 2, 3, 0, 1]


def many(journal: Journal, pipelines: int, runs: int = 1, prefix: str = "p") -> None:
    put(
        journal,
        *(
            a_run(f"{prefix}{number}-{run}", "Succeeded", START + run, pipeline=f"{prefix}{number:04}")
            for number in range(pipelines)
            for run in range(runs)
        ),
    )


def pipelines_of(journal: Journal) -> set[str]:
    return {name for _, _, name in counted(journal).counts}


def test_two_hundred_pipelines_have_a_name_and_the_rest_is_other(journal: Journal) -> None:
    many(journal, PLACES + 300, runs=5)

    found = shown(journal)

    assert len(pipelines_of(journal)) == PLACES + 1
    assert found.value("pipetrail_runs_started_total", **NIGHTLY | {"pipeline": "other"}) == 1500
    assert found.total("pipetrail_runs_started_total") == 5 * (PLACES + 300)
    assert len(found) <= sum(most_series(CLOSED, clusters=1, systems=1).values())


def test_the_busiest_of_those_that_come_at_once_are_shown(journal: Journal) -> None:
    put(journal, *(a_run(f"busy-{number}", pipeline="zz-busy") for number in range(9)))
    many(journal, 2 * PLACES)

    assert "zz-busy" in pipelines_of(journal)


def test_a_pipeline_that_is_shown_stays_shown_through_restarts(tmp_path: Path) -> None:
    path = str(tmp_path / "j.db")
    journal = Journal(path)
    many(journal, PLACES, runs=5)
    before = pipelines_of(journal)
    journal.close()

    journal = Journal(path)
    many(journal, PLACES, runs=50, prefix="busier")
    after = pipelines_of(journal)
    journal.close()

    assert after == before | {"other"}


def test_names_that_are_used_once_leave_places_for_those_that_come_again(journal: Journal) -> None:
    many(journal, 5 * PLACES, prefix="once")
    many(journal, 1, runs=6, prefix="nightly")

    assert "nightly0000" in pipelines_of(journal)


def test_a_pipeline_named_other_or_much_too_long_is_one_of_the_others(journal: Journal) -> None:
    put(journal, a_run("r1", pipeline="other"), a_run("r2", pipeline="x" * 129))

    assert shown(journal).value("pipetrail_runs_started_total", **NIGHTLY | {"pipeline": "other"}) == 2


def test_a_hostile_name_stays_a_label(journal: Journal) -> None:
    name = 'a"} 1\npipetrail_ready 0 # {'
    put(journal, a_run("r1", pipeline=name))

    assert shown(journal).value("pipetrail_runs_started_total", **NIGHTLY | {"pipeline": name}) == 1


def test_numbers_that_no_run_can_have_are_bounded(journal: Journal) -> None:
    put(journal, a_run("r1", "Failed", restarts=10**12, preemptions=-3, phases={"queued": -SECOND}))

    found = shown(journal)

    assert found.value("pipetrail_run_restarts_total", **NIGHTLY) == 10**9
    assert found.value("pipetrail_run_preemptions_total", **NIGHTLY) == 0
    assert found.value("pipetrail_run_phase_seconds_sum", **NIGHTLY, phase="queued") == 0


def test_an_id_that_is_too_long_for_an_exemplar_is_left_out(journal: Journal) -> None:
    put(journal, a_run("r" * 200, "Succeeded"))

    assert shown(journal).exemplar("pipetrail_runs_started_total", **NIGHTLY) is None


def a_verdict(run: str, node: str, at: int = START) -> Event:
    """A verdict on a run that is about a node."""
    about = {"kind": "Node", "name": node}
    link = Link(rel="subject", system="argo", run=run)
    made: Event = event(
        number=fingerprint(run, node),
        at=at,
        observed_at=at,
        origin="verdict",
        about=ObjectRef(kind="Workflow", name=run),
        verdict={"about": about, "since": at},
        links=(link,),
    )
    return made


@pytest.mark.parametrize(
    ("verdicts", "suspects"),
    [
        ([("r1", "n1"), ("r2", "n1")], 1),
        ([("r1", "n1"), ("r2", "n2")], 0),
        ([("r1", "n1"), ("r2", "n1"), ("r2", "n2")], 0),
    ],
    ids=["one node, two runs", "two nodes", "the last verdict says another node"],
)
def test_a_node_is_suspect_when_several_runs_are_about_it(
    journal: Journal, verdicts: list[tuple[str, str]], suspects: int
) -> None:
    journal.name_cluster(CLUSTER, CLUSTER, None)
    put(journal, events=[a_verdict(run, node) for run, node in verdicts])

    assert shown(journal).value("pipetrail_nodes_suspect", cluster=CLUSTER) == suspects


def test_the_bound_counts_each_label_that_there_is() -> None:
    bound = most_series(CLOSED, clusters=2, systems=30)
    pipelines = PLACES + 2 * 30

    assert bound["pipetrail_runs"] == pipelines * len(OPEN)
    assert bound["pipetrail_run_phase_seconds"] == pipelines * len(PHASES) * (len(BUCKETS) + 2)
