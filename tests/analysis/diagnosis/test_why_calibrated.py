"""How often verdicts are right and how sure they are then: the conditions that `make calibrate` prints figures of."""

from typing import Any

from pipetrail.analysis.diagnosis import Case, Verdict, diagnose
from pipetrail.catalogue import Catalogue
from tests.analysis.diagnosis.calibrate import Known, Tally, broken, calibrate, made_up, recorded
from tests.analysis.diagnosis.story import case, seconds, stories
from tests.analysis.diagnosis.test_why_scenarios import filled

FILES = ("scenarios.yaml", "peers_cases.yaml", "further_cases.yaml")


def test_sure_verdicts_are_right_and_a_lost_event_makes_none_wrong(known: Catalogue) -> None:
    """`make calibrate` leaves out each event of the recordings, here each tenth of those that tell of nothing wrong."""
    assert broken(*calibrate([*made_up(), *recorded()], known, every=10)) == []


def test_each_condition_that_is_broken_is_named(known: Catalogue) -> None:
    """One case whose answer is wrong by what it is measured against breaks all that can be broken by one."""
    found = case(filled("S03 out of memory in a step", stories("scenarios.yaml")))
    tally, mutated = calibrate([Known("S03", found, frozenset({"cancelled"}), frozenset(), "user_code")], known)

    told = " ".join(broken(tally, mutated))

    assert "at least 98%" in told
    assert "wrong blame" in told


def test_too_few_sure_answers_and_too_many_silent_ones_are_named() -> None:
    tally = Tally()
    tally.all, tally.unknown = 10, 2

    told = " ".join(broken(tally, Tally()))

    assert "at least 70%" in told
    assert "at most 10%" in told


def test_another_answer_and_a_surer_one_are_named(known: Catalogue) -> None:
    of = stories("scenarios.yaml")
    first = judged(known, filled("S09 noisy neighbour fills the disk", of))
    other = judged(known, filled("S03 out of memory in a step", of))
    tally = Tally()
    tally.all = 1
    story = Known("S09", case(filled("S09 noisy neighbour fills the disk", of)), frozenset(), frozenset(), "")

    tally.compare(story, first, other, "an event")

    assert "another answer at high" in " ".join(broken(Tally(), tally))


def judged(known: Catalogue, story: dict[str, object]) -> Verdict:
    verdict = diagnose(case(story), known)
    assert verdict is not None
    return verdict


def test_no_wrong_answer_is_given_surely_while_a_case_unfolds(known: Catalogue) -> None:
    """At each event what is sure must be the answer in the end, or a step of the way to it."""
    wrong = []
    for file in FILES:
        of = stories(file)
        for name in of:
            story = filled(name, of)
            final = diagnose(case(story), known)
            for number in range(1, len(story.get("events", ()))):
                early = unfolded(story, number)
                verdict = diagnose(early, known)
                if verdict is None or verdict.confidence != "high":
                    continue
                steps = [step.text for step in (*final.chain, *final.consequences)] if final is not None else []
                same = final is not None and verdict.cause in {final.cause, *(one.cause for one in final.attempts)}
                if not same and not any(f"({verdict.cause})" in text for text in steps):
                    wrong.append((name, number, verdict.cause, final and final.cause))

    assert wrong == []


def unfolded(story: dict[str, Any], number: int) -> Case:
    """A story up to an event: the run goes on, and of its pods only what had happened by then is known."""
    lines = story["events"][:number]
    now = max(seconds(line.split()[0]) for line in lines)
    ended = {line.split()[1].partition("/")[2] for line in lines if " exit:" in line or " killed" in line}
    pods: dict[str, dict[str, Any]] = {}
    for name, said in (story.get("pods") or {}).items():
        then = {key: value for key, value in (said or {}).items() if key in ("node", "claims", "member", "try", "step")}
        then |= {
            key: said[key]
            for key in ("created", "started", "deleting", "deleted")
            if key in (said or {}) and seconds(str(said[key])) <= now
        }
        if "created" in (said or {}) and "created" not in then:
            continue
        then["phase"] = "Running" if "started" in then else "Pending"
        if name in ended and said.get("phase") == "Failed":
            then |= {key: said[key] for key in ("phase", "exit") if key in said}
        pods[name] = then
    state = "Running" if any("started" in each for each in pods.values()) else "Pending"
    return case({**story, "events": lines, "pods": pods, "state": state, "now": str(now)})
