"""Why, from a journal: one run read without the rest, what a name can mean, and what went wrong in all runs."""

import asyncio
from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from pipetrail.analysis.runs import Run
from pipetrail.app.overview import WAITS, Group, Wrong, grouped, overview
from pipetrail.app.playing import PlayOptions, play
from pipetrail.app.reading import Read, RunReader
from pipetrail.app.runs import runs_of
from pipetrail.app.why import Subject, answer, of_nodes, subjects
from pipetrail.catalogue import Catalogue, load
from pipetrail.model import Query
from pipetrail.model.times import SECOND
from pipetrail.stores.sqlite import JournalReader
from tests.app.recorded import configured
from tests.cli.verdicts import forty_of_one_cause
from tests.conftest import RECORDINGS

FOLDERS = sorted(path.parent for path in RECORDINGS.glob("*/expected.json"))
LATE = 1 << 60
TORCH = "pytorchjob-node-failure"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """All recordings, each a cluster, without verdicts; tests must not change it."""
    found = str(tmp_path_factory.mktemp("why") / "all.db")
    asyncio.run(play(FOLDERS, PlayOptions(journal=found, full_text=False, resolvers=configured())))
    return found


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, catalogue: Catalogue) -> str:
    """The same, with verdicts."""
    found = str(tmp_path_factory.mktemp("why") / "told.db")
    options = PlayOptions(journal=found, full_text=False, resolvers=configured(), catalogue=catalogue)
    asyncio.run(play(FOLDERS, options))
    return found


@pytest.fixture(scope="module")
def reader(path: str) -> Iterator[JournalReader]:
    with JournalReader(path) as found:
        yield found


@pytest.fixture
def runs(reader: JournalReader) -> RunReader:
    return RunReader(reader, LATE, configured())


@pytest.fixture(scope="module")
def whole(reader: JournalReader) -> list[Run]:
    """All runs, from all objects."""
    return runs_of(reader, LATE, configured())


@pytest.fixture
def torch(runs: RunReader, whole: list[Run]) -> Read:
    """A PyTorchJob of which a node died."""
    (run,) = (run for run in whole if run.cluster == TORCH)
    read = runs.run(run.cluster, run.id)
    assert read is not None
    return read


def the_one(found: list[Subject]) -> Subject:
    (one,) = found
    return one


# ---- one run without the rest


def test_each_run_is_read_as_it_is_among_all_objects(runs: RunReader, whole: list[Run]) -> None:
    read = [runs.run(run.cluster, run.id) for run in whole]

    assert [found.case.run if found is not None else None for found in read] == whole


def test_a_run_that_nobody_knows_is_none(runs: RunReader) -> None:
    assert runs.run(TORCH, "nothing") is None


def test_only_what_has_to_do_with_the_run_is_read(runs: RunReader, whole: list[Run]) -> None:
    first, second = (run for run in whole if run.cluster == "kueue-priority-preemption")
    case = next(iter(subjects(runs, first.name))).read.case

    assert {thing.name for thing in case.objects}.isdisjoint(
        thing.name for thing in next(iter(subjects(runs, second.name))).read.case.objects
    )


def test_the_nodes_of_its_pods_and_what_was_said_of_them_are_part_of_the_case(torch: Read) -> None:
    assert "gpu-b1" in {thing.name for thing in torch.case.around if thing.kind == "Node"}
    assert "NodeStatusUnknown" in {event.reason for event in torch.case.events if event.about.kind == "Node"}


def test_events_of_a_case_are_in_the_order_of_time_and_once(torch: Read) -> None:
    order = [(event.at, event.seq) for event in torch.case.events]

    assert order == sorted(set(order))


def test_at_a_time_only_what_was_known_then_counts(reader: JournalReader, torch: Read) -> None:
    died = next(event for event in torch.case.events if event.reason == "NodeStatusUnknown")
    before = RunReader(reader, LATE, configured(), at=died.observed_at - 1).run(TORCH, torch.case.run.id)

    assert before is not None
    assert before.case.run.state == "Running"
    assert before.case.now == died.observed_at - 1
    assert all(event.observed_at < died.observed_at for event in before.case.events)
    assert before.case.run.finished is None


def test_before_a_run_began_there_is_none(reader: JournalReader, torch: Read) -> None:
    created = torch.case.run.created
    assert created is not None

    assert RunReader(reader, LATE, configured(), at=created - SECOND).run(TORCH, torch.case.run.id) is None


# ---- what a name can mean


def test_a_run_is_found_by_all_that_names_it(runs: RunReader, torch: Read) -> None:
    run = torch.case.run
    words = (run.id, run.name, f"{run.namespace}/{run.name}", "seg-ddp", f"{run.namespace}/seg-ddp", run.root)

    assert {(the_one(subjects(runs, word)).run.id, the_one(subjects(runs, word)).part) for word in words} == {
        (run.id, "")
    }


def test_a_step_is_the_part_of_its_run(runs: RunReader, torch: Read) -> None:
    run = torch.case.run
    for word in (f"{run.name}/worker-0", f"{run.namespace}/{run.name}/worker-0"):
        found = the_one(subjects(runs, word))

        assert (found.run.id, found.part) == (run.id, "worker-0")


def test_a_pod_is_told_without_its_siblings(runs: RunReader, catalogue: Catalogue, torch: Read) -> None:
    pods = [thing for thing in torch.case.objects if thing.is_pod]
    lost = next(pod for pod in pods if pod.node == "gpu-b1")
    well = next(pod for pod in pods if pod.name.endswith("master-0"))

    def cause(uid: str) -> str | None:
        verdict = answer(the_one(subjects(runs, uid)), catalogue).verdict
        return verdict.cause if verdict is not None else None

    assert (cause(lost.uid), cause(well.uid)) == ("node_lost", None)


def test_a_namespace_narrows(runs: RunReader, torch: Read) -> None:
    run = torch.case.run

    assert subjects(runs, run.name, namespaces=("nowhere",)) == []
    assert len(subjects(runs, run.name, namespaces=(run.namespace,))) == 1


def test_a_cluster_narrows(runs: RunReader, torch: Read) -> None:
    for word in (torch.case.run.name, "seg-ddp-worker-0"):
        assert subjects(runs, word, clusters=("elsewhere",)) == []
        assert {one.run.cluster for one in subjects(runs, word, clusters=(TORCH,))} == {TORCH}


@pytest.mark.parametrize("word", ["", "*", "a*", "/", "//", "seg-12/", "/seg-12", "seg-12/nothing", "ä\x00'\""])
def test_what_names_nothing_is_nothing(runs: RunReader, word: str) -> None:
    assert subjects(runs, word) == []
    assert of_nodes(runs, load(), word, 0) == []


def test_a_node_tells_which_runs_it_hit(runs: RunReader, catalogue: Catalogue, torch: Read) -> None:
    (found,) = of_nodes(runs, catalogue, "gpu-b1", 0, clusters=(TORCH,))

    assert [(verdict.run, verdict.cause) for verdict in found.verdicts] == [(torch.case.run.id, "node_lost")]
    assert "NodeStatusUnknown" in {event.reason for event in found.events}


# ---- all runs


def kept(groups: list[Group]) -> set[tuple[str, str, str]]:
    return {(one.verdict.run, one.verdict.state, one.verdict.cause) for group in groups for one in group.runs}


def test_what_failed_and_waits_is_told_and_what_got_over_it_is_not(
    runs: RunReader, catalogue: Catalogue, whole: list[Run]
) -> None:
    found = kept(overview(runs, catalogue, 0))

    assert {(run, state) for run, state, _ in found} == {
        (run.id, run.state) for run in whole if run.state in ("Failed", *WAITS)
    }


def test_the_verdicts_that_were_told_say_the_same_as_all_objects(
    runs: RunReader, told: str, catalogue: Catalogue
) -> None:
    with JournalReader(told) as reader:
        assert kept(overview(RunReader(reader, LATE, configured()), catalogue, 0)) == kept(overview(runs, catalogue, 0))


def test_what_failed_before_is_left_out(runs: RunReader, told: str, catalogue: Catalogue) -> None:
    newest = overview(runs, catalogue, 0)
    since = max(group.newest for group in newest)
    with JournalReader(told) as reader:
        for each in (runs, RunReader(reader, LATE, configured())):
            assert all(group.newest >= since for group in overview(each, catalogue, since))
            assert len(overview(each, catalogue, since)) == 1


def test_clusters_and_namespaces_narrow_what_is_told(runs: RunReader, catalogue: Catalogue) -> None:
    job = overview(runs, catalogue, 0, clusters=("job-oom-backofflimit",))

    assert {one.verdict.namespace for group in job for one in group.runs} == {"ml-team-a"}
    assert overview(runs, catalogue, 0, clusters=("job-oom-backofflimit",), namespaces=("other",)) == []


def test_one_bad_config_map_that_killed_forty_runs_is_one_line_and_the_first() -> None:
    groups = grouped(forty_of_one_cause())

    assert [len(group.runs) for group in groups] == [40, 2, 1, 1]
    assert (groups[0].about.kind, groups[0].about.name) == ("ConfigMap", "train-config")


def test_of_as_many_runs_the_newest_comes_first() -> None:
    groups = grouped(forty_of_one_cause())

    assert [group.first.name for group in groups[2:]] == ["giant", "odd"]


def test_runs_without_a_pipeline_whose_own_object_is_to_be_changed_are_not_one() -> None:
    found = [replace(one, pipeline="") for one in forty_of_one_cause() if one.verdict.cause == "oom_killed"]

    assert [len(group.runs) for group in grouped(found)] == [1, 1]


def test_the_surest_verdict_speaks_for_its_group() -> None:
    first, second, *_ = forty_of_one_cause()
    unsure = Wrong(replace(second.verdict, confidence="low"), second.at + SECOND, second.pipeline)

    assert Group((unsure, first)).first == first.verdict


def test_verdicts_are_no_evidence_for_verdicts(told: str, catalogue: Catalogue, torch: Read) -> None:
    with JournalReader(told) as reader:
        read = RunReader(reader, LATE, configured()).run(TORCH, torch.case.run.id)
        assert read is not None
        assert any(event.origin == "verdict" for event in reader.events(Query(runs=(torch.case.run.id,))))
        assert all(event.origin != "verdict" for event in read.case.events)


def test_nothing_is_said_of_a_run_that_went_well(runs: RunReader, catalogue: Catalogue, whole: list[Run]) -> None:
    (run,) = (run for run in whole if run.cluster == "pytorchjob-success")
    found = answer(the_one(subjects(runs, run.id)), catalogue)

    assert (found.run, found.verdict) == (run, None)


def test_at_a_time_what_had_failed_by_then_is_told(
    reader: JournalReader, catalogue: Catalogue, whole: list[Run]
) -> None:
    failed = next(run for run in whole if run.cluster == "job-oom-backofflimit")
    assert failed.finished is not None
    for at, expected in ((failed.finished - SECOND, set()), (failed.finished + 5 * SECOND, {(failed.id, "Failed")})):
        runs = RunReader(reader, LATE, configured(), at=at)
        found = kept(overview(runs, catalogue, 0, clusters=(failed.cluster,)))

        assert {(run, state) for run, state, _ in found} == expected
