"""The catalogue holds all that the notes on failures say, and each of its own parts can be reached."""

import re
from collections import Counter

import pytest

from pipetrail.catalogue import TURNS, Catalogue
from tests.catalogue import notes

SECTIONS = {
    "1.1": ["FailedScheduling"],
    "1.2": ["Failed", "InspectFailed"],
    "1.3": ["FailedMount", "FailedAttachVolume"],
    "1.4": ["FailedCreatePodSandBox", "NetworkNotReady"],
    "1.5": ["FailedCreate"],
    "1.7": ["Error", "exit:1"],
}
# The notes' name where the catalogue has another one, which must be unique in it, or several.
NAMES = {
    ("1.1", "insufficient_cpu / _memory / _ephemeral"): [
        "insufficient_cpu",
        "insufficient_memory",
        "insufficient_ephemeral_storage",
    ],
    ("1.1", "pod_affinity / anti_affinity"): ["pod_affinity", "pod_anti_affinity"],
    ("1.6", "stop"): ["stopped"],
    ("1.6", "liveness / startup"): ["liveness_killed"],
    ("1.6", "hook"): ["hook_failed"],
    ("1.6", "readiness_http"): ["probe_http"],
    ("1.6", "connect_refused"): ["probe_refused"],
    ("1.6", "timeout"): ["probe_timeout"],
    ("1.6", "pleg"): ["kubelet_pleg"],
    ("1.6", "max_size"): ["group_at_max"],
    ("1.6", "backoff"): ["scale_up_backoff"],
    ("1.7", "cuda_ecc"): ["cuda_ecc", "cuda_assert", "cuda_fault"],
    ("1.7", "shm"): ["shm_full"],
    ("1.7", "import"): ["import_error"],
    ("1.7", "access"): ["access_denied"],
    ("1.7", "nan"): ["loss_nan"],
    ("1.7", "disk"): ["disk_full"],
    ("1.7", "port"): ["port_in_use"],
    ("1.7", "oom_host"): ["host_oom"],
}


def names(row: notes.Noted) -> list[str]:
    """The catalogue's causes for a row."""
    plain = row.name.removesuffix(" (symptom)")
    return NAMES.get((row.section, plain), [plain])


def reasons(row: notes.Noted) -> list[str]:
    """The reasons whose messages a row is for; ``same`` stands for autoscalers' failures."""
    if row.reason == "same":
        return ["ScaleUpFailed", "InsufficientCapacityError"]
    return row.reason.split(" / ") if row.reason else SECTIONS[row.section]


def test_each_noted_reason_is_there_with_its_facts(known: Catalogue) -> None:
    wrong = []
    for row in notes.reasons():
        entry = known.reason(row["reason"], row["component"], row["involved_kind"])
        found = entry and (entry.reason, entry.component, entry.kind, entry.category, entry.blame)
        wanted = (row["reason"], row["component"], row["involved_kind"], row["category"], row["blame"])
        facts = entry and (entry.severity, entry.retry, row["type"] in entry.types)
        if found != wanted or facts != (row["severity"], row["retryable"], True):
            wrong.append((wanted, found, facts))

    assert wrong == []


def test_no_text_is_copied_from_the_notes(known: Catalogue) -> None:
    said = {entry.says.casefold() for entry in known.entries}
    said |= {text.casefold() for cause in known.causes.values() for text in (cause.title, cause.meaning, cause.do)}
    copied = {
        row[part]
        for row in notes.reasons()
        for part in ("meaning", "remedy")
        if len(row[part].split()) > 5 and row[part].casefold() in said
    }

    assert copied == set()


def test_each_row_of_the_noted_tables_is_there(known: Catalogue) -> None:
    rows = [row for row in notes.rows() if row.section != "1.8"]
    missing = [
        (row.section, name, reason)
        for row in rows
        for name in names(row)
        if not any(name in {found.cause for found in known.rows_for(reason)} for reason in reasons(row))
        for reason in reasons(row)[:1]
    ]

    assert len(rows) > 100
    assert missing == []


def test_each_noted_example_names_its_row_and_no_other_cause_of_its_kind(known: Catalogue) -> None:
    wrong = []
    for row in notes.rows():
        for example in row.examples:
            found = {cause.id for reason in reasons(row)[:1] for cause, _ in known.sub_causes(reason, example)}
            also = {
                other for group in known.messages for each in group.rows if each.cause in found for other in each.also
            }
            # Written with an ellipsis it is a piece of a message; "see first row" and the like have no example at all.
            if not found & set(names(row)) or not found <= {*names(row), *also}:
                wrong.append((row.section, row.name, example, found))

    assert wrong == []


def test_each_noted_xid_is_there(known: Catalogue) -> None:
    missing = []
    for row in notes.rows():
        if row.section == "1.8":
            for part in re.split(r"[,/] ?| / ", row.name):
                first, _, last = part.strip().partition("-")
                for number in range(int(first), int(last or first) + 1):
                    entry = known.reason(f"xid:{number}")
                    if entry is None or entry.reason != f"xid:{number}" or not entry.cause:
                        missing.append(number)

    assert missing == []


def test_each_reason_that_blames_has_a_cause(known: Catalogue) -> None:
    bare = [
        (entry.reason, entry.component)
        for entry in known.entries
        if not entry.cause and entry.role != "symptom" and entry.blame != "none"
    ]

    assert bare == []


def test_the_rows_whose_wording_is_hearsay_are_marked(known: Catalogue) -> None:
    marked = {row.cause for group in known.messages for row in group.rows if row.unverified}
    noted = {name for row in notes.rows() if row.hearsay for name in names(row)}

    assert noted - marked == set()


def test_each_cause_is_pointed_to(known: Catalogue) -> None:
    made = {maker.cause for reason in ("exit:137", "exit:255") for maker in known.makers(reason)}
    idle = [
        cause
        for cause in known.causes
        if cause not in made and not known.signals(cause).entries and not known.signals(cause).rows
    ]

    assert idle == []


def test_no_reason_is_there_twice(known: Catalogue) -> None:
    counted = Counter((entry.reason, entry.component, entry.kind) for entry in known.entries)

    assert [key for key, number in counted.items() if number > 1] == []


def test_no_two_causes_have_the_same_title(known: Catalogue) -> None:
    counted = Counter(cause.title for cause in known.causes.values())

    assert [title for title, number in counted.items() if number > 1] == []


def test_a_place_in_a_text_is_a_field_of_each_of_its_messages_groups(known: Catalogue) -> None:
    wrong = []
    for cause in known.causes.values():
        places = set(re.findall(r"<(\w+)>", f"{cause.title} {cause.meaning} {cause.do}"))
        given: set[str] = set()
        for group in known.messages:
            for row in group.rows:
                if row.cause == cause.id:
                    given |= {*re.findall(r"\?P<(\w+)>", row.match + group.fields)}
        wrong += [(cause.id, place) for place in places - given]

    assert wrong == []


@pytest.mark.parametrize("blame", TURNS)
def test_each_blame_has_a_turn_in_words(blame: str) -> None:
    assert len(TURNS[blame]) > 3
