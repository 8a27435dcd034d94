"""How long each phase took in the last runs of the pipeline, beside what the run that waits has taken so far."""

from msgspec.structs import replace

from pipetrail.app.phases_before import PhaseBefore
from pipetrail.cli.why_shapes import why_shape
from pipetrail.cli.whytext import answer_text
from pipetrail.model.times import SECOND
from tests.cli.test_cli_why import screen
from tests.cli.verdicts import an_answer

MINUTE = 60 * SECOND
QUEUED = PhaseBefore(phase="queued", runs=20, median=70 * SECOND, p90=9 * MINUTE, longest=12 * MINUTE, now=4 * MINUTE)
PULLING = PhaseBefore(phase="pulling", runs=1, median=5 * SECOND, p90=5 * SECOND, longest=5 * SECOND)
ADMITTED = PhaseBefore(phase="admitted", now=3 * SECOND)


def test_each_phase_is_a_line_with_now_and_before() -> None:
    shown = answer_text(replace(an_answer(), phases_before=(QUEUED, ADMITTED, PULLING)), screen(100), {})
    lines = [line.split() for line in shown.splitlines()[-3:]]

    assert [" ".join(words) for words in lines] == [
        "queued 4m00s now last 20 runs: median 1m10s, longest 12m00s",
        "admitted 3s now no run had it before",
        "pulling last run: median 5s, longest 5s",
    ]


def test_nothing_is_said_where_nothing_is_known_of_runs_before() -> None:
    assert "last runs" not in answer_text(an_answer(), screen(100), {})
    assert why_shape(an_answer()).phases_before == []


def test_in_json_each_phase_has_its_figures_in_seconds() -> None:
    (queued, admitted) = why_shape(replace(an_answer(), phases_before=(QUEUED, ADMITTED))).phases_before

    assert (queued.phase, queued.runs, queued.now_seconds) == ("queued", 20, 240)
    assert (queued.median_seconds, queued.p90_seconds, queued.max_seconds) == (70, 540, 720)
    assert (admitted.runs, admitted.now_seconds) == (0, 3)
