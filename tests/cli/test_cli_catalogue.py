"""``pipetrail catalogue``: what a reason means, in words and as JSON."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from pipetrail.catalogue import load
from tests.cli.conftest import Run

GOLDEN = Path(__file__).parent / "golden"
GPUS = "0/4 nodes are available: 4 Insufficient nvidia.com/gpu."
CAUSE_KEYS = [
    "id",
    "title",
    "category",
    "blame",
    "turn",
    "retry",
    "severity",
    "role",
    "specificity",
    "confidence",
    "meaning",
    "do",
    "reasons",
    "in_messages_of",
]
REASON_KEYS = [
    "reason",
    "component",
    "kind",
    "types",
    "category",
    "blame",
    "severity",
    "retry",
    "role",
    "says",
    "cause",
    "sub_causes",
    "makers",
]


@pytest.fixture(autouse=True)
def no_own_catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIPETRAIL_CATALOGUE", raising=False)


def lines(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


def golden(name: str, shown: str) -> None:
    """Compare with the kept text. PIPETRAIL_GOLDEN=write keeps the new one: look at it."""
    file = GOLDEN / name
    if os.environ.get("PIPETRAIL_GOLDEN") == "write":
        file.write_text(shown, encoding="utf-8")
    assert shown == file.read_text(encoding="utf-8")


def own(folder: Path, text: str) -> str:
    (folder / "team.yaml").write_text(text, encoding="utf-8")
    return str(folder)


@pytest.mark.parametrize("width", [80, 140])
@pytest.mark.parametrize("word", ["exit:137", "FailedScheduling", "quota_exceeded"])
def test_an_explanation_looks_as_it_was_seen(word: str, width: int, run: Run) -> None:
    shown = run("catalogue", word, width=width, terminal=True).stdout

    golden(f"catalogue-{word.replace(':', '-')}-{width}.txt", shown)


@pytest.mark.parametrize("width", [80, 140])
def test_the_list_looks_as_it_was_seen(width: int, run: Run) -> None:
    golden(f"catalogue-{width}.txt", run("catalogue", "--category", "quota,oom", width=width, terminal=True).stdout)


@pytest.mark.parametrize("width", [60, 80, 100, 140])
@pytest.mark.parametrize(
    "args", [(), ("FailedScheduling",), ("gpu_memory",), ("Evicted", "-m", "low on resource: pids")]
)
def test_no_line_is_wider_than_the_screen(args: tuple[str, ...], width: int, run: Run) -> None:
    shown = run("catalogue", *args, width=width, terminal=True).stdout

    assert max(cell_len(line) for line in shown.splitlines()) <= width


def test_the_list_has_every_cause_once(run: Run) -> None:
    shown = lines(run("catalogue", "-o", "json").stdout)

    assert sorted(each["id"] for each in shown) == sorted(load().causes)


def test_the_list_is_by_category(run: Run) -> None:
    categories = [each["category"] for each in lines(run("catalogue", "-o", "json").stdout)]

    assert categories == sorted(categories)


def test_a_cause_as_json_has_its_documented_fields_in_order(run: Run) -> None:
    (shown,) = lines(run("catalogue", "oom_killed", "-o", "json").stdout)

    assert list(shown) == CAUSE_KEYS
    assert shown["reasons"] == [
        {"reason": "OOMKilled", "component": "container runtime", "kind": "Pod", "types": ["terminated"]}
    ]


def test_a_reason_as_json_has_its_documented_fields_in_order(run: Run) -> None:
    shown = lines(run("catalogue", "FailedScheduling", "-o", "json").stdout)

    assert [list(each) for each in shown] == [REASON_KEYS, REASON_KEYS]
    assert [each["component"] for each in shown] == ["scheduler", "karpenter"]
    assert list(shown[0]["cause"]) == CAUSE_KEYS
    assert "insufficient_gpu" in shown[0]["sub_causes"]


def test_a_symptom_as_json_has_no_cause(run: Run) -> None:
    (shown,) = lines(run("catalogue", "CrashLoopBackOff", "-o", "json").stdout)

    assert (shown["role"], shown["cause"]) == ("symptom", None)


def test_the_makers_of_an_exit_code_are_in_the_json(run: Run) -> None:
    (shown,) = lines(run("catalogue", "exit:137", "-o", "json").stdout)

    assert [maker["cause"] for maker in shown["makers"]] == [
        "oom_killed",
        "container_lost",
        "killed_after_grace",
        "killed_from_inside",
    ]


def test_an_explanation_says_who_what_and_whose_turn(run: Run) -> None:
    shown = run("catalogue", "OOMKilled").stdout

    assert "container runtime says it of Pod" in shown
    assert "To do: Raise resources.limits.memory" in shown
    assert "Turn: user configuration" in shown
    assert "cuda_oom" in shown


def test_a_symptom_is_said_to_be_one(run: Run) -> None:
    assert "It is a symptom: it never says why." in run("catalogue", "BackOff").stdout


def test_a_word_that_nobody_checked_says_so(run: Run) -> None:
    assert "Nobody has checked this word" in run("catalogue", "NVMLDevicesMissing").stdout


@pytest.mark.parametrize("word", ["oomkilled", "OOMKILLED"])
def test_a_reason_may_be_typed_in_any_case(word: str, run: Run) -> None:
    assert run("catalogue", word).stdout == run("catalogue", "OOMKilled").stdout


def test_a_reason_that_fits_a_pattern_is_explained(run: Run) -> None:
    shown = run("catalogue", "exit:77").stdout

    assert shown.startswith("exit:77\n")
    assert "program_error" in shown


def test_a_message_is_explained_with_what_it_says(run: Run) -> None:
    shown = run("catalogue", "FailedScheduling", "-m", GPUS).stdout

    assert "On 4 of the nodes fewer of nvidia.com/gpu are free" in shown
    assert "<" not in shown


def test_a_message_as_json_gives_its_fields(run: Run) -> None:
    (shown,) = lines(run("catalogue", "FailedScheduling", "-m", GPUS, "-o", "json").stdout)

    assert (shown["cause"]["id"], shown["fields"]) == ("insufficient_gpu", {"nodes": "4", "resource": "nvidia.com/gpu"})


def test_a_message_that_names_no_cause_says_so(run: Run) -> None:
    done = run("catalogue", "FailedScheduling", "-m", "something else")

    assert (done.exit_code, done.stdout) == (0, "This message names no cause that the catalogue knows.\n")


def test_a_hostile_message_is_made_visible(run: Run) -> None:
    shown = run("catalogue", "FailedCreate", "-m", 'admission webhook "\x1b[31m\u202ex" denied the request').stdout

    assert "The webhook ␛[31m\\u202ex looked at the object" in shown
    assert shown.replace("\n", "").isprintable()


def test_an_own_catalogue_with_hostile_texts_is_made_visible(tmp_path: Path, run: Run) -> None:
    folder = own(tmp_path, 'causes: {oom_killed: {title: "a\\e[31mb", do: "c\\ed", category: "e\\e"}}')

    shown = run("catalogue", "OOMKilled", "--catalogue", folder).stdout + run("catalogue", "--catalogue", folder).stdout

    assert "a␛[31mb" in shown
    assert "\x1b" not in shown


@pytest.mark.parametrize(
    ("word", "near"),
    [
        ("OOMKiled", "OOMKilled"),
        ("FailedSchedulling", "FailedScheduling"),
        ("quota_exceded", "quota_exceeded"),
        ("imagepulbackoff", "ImagePullBackOff"),
    ],
)
def test_an_unknown_word_suggests_near_ones(word: str, near: str, run: Run) -> None:
    done = run("catalogue", word)

    assert done.exit_code == 1
    assert done.stderr.startswith(f"pipetrail: the catalogue has no reason and no cause {word}. Did you mean ")
    assert near in done.stderr


def test_a_word_far_from_all_leads_to_the_list(run: Run) -> None:
    done = run("catalogue", "\x1bzzzzzzzz" * 100)

    assert done.exit_code == 1
    assert done.stderr.endswith(". `pipetrail catalogue` lists the causes.\n")
    assert "\x1b" not in done.stderr
    assert len(done.stderr) < 500


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("--category", "nope"), "no category 'nope': there are app, autoscaling"),
        (("-m", "text"), "--message needs the REASON"),
        (("OOMKilled", "--category", "oom"), "--category is for the list"),
    ],
)
def test_a_wrong_use_says_what_is_right(args: tuple[str, ...], told: str, run: Run) -> None:
    done = run("catalogue", *args)

    assert done.exit_code == 2
    assert told in done.stderr


def test_an_own_catalogue_lies_over_the_one_of_pipetrail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    monkeypatch.setenv("PIPETRAIL_CATALOGUE", own(tmp_path, "causes: {oom_killed: {do: Ask the ML platform team.}}"))

    assert "To do: Ask the ML platform team." in run("catalogue", "OOMKilled").stdout


def test_mistakes_in_an_own_catalogue_are_told_with_file_and_entry(tmp_path: Path, run: Run) -> None:
    folder = own(tmp_path, "causes: {mine: {title: T}}\nvictims: [nope]")

    done = run("catalogue", "--catalogue", folder)

    assert done.exit_code == 2
    assert [line.partition(": ")[0] for line in done.stderr.splitlines()] == ["pipetrail", "pipetrail"]
    assert f"pipetrail: {folder}/team.yaml: causes.mine: the entry missing required field" in done.stderr


def test_other_commands_do_not_load_the_catalogue() -> None:
    code = "import sys; from pipetrail.cli.main import cli; cli(['--help'], standalone_mode=False); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert not {"pipetrail.catalogue", "yaml"} & set(done.stdout.split())
