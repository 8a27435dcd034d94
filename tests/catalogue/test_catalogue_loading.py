"""A team's own files lie over the catalogue that comes with pipetrail; mistakes in them are told with their remedy."""

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import pipetrail.catalogue
from docs._generate.causes import EXAMPLE
from pipetrail.catalogue import Catalogue, CatalogueError, load

DATA = sorted((Path(pipetrail.catalogue.__file__).parent / "data").glob("*.yaml"))
CAUSE = {
    "title": "T",
    "meaning": "M",
    "do": "D",
    "category": "team",
    "blame": "policy",
    "retry": "no",
    "specificity": 4,
}


def write(folder: Path, name: str = "team.yaml", **parts: Any) -> Path:
    (folder / name).write_text(yaml.safe_dump(parts), encoding="utf-8")
    return folder


def errors(folder: Path) -> list[str]:
    with pytest.raises(CatalogueError) as caught:
        load(folder)
    assert str(caught.value) == "\n".join(caught.value.errors)
    return [line.removeprefix(f"{folder}/") for line in caught.value.errors]


def test_the_example_of_the_documentation_does_what_it_says(tmp_path: Path, known: Catalogue) -> None:
    (tmp_path / "lake.yaml").write_text(EXAMPLE, encoding="utf-8")

    found = load(tmp_path)

    (cause, fields) = found.sub_causes("Error", "open: lake token expired for dataset clicks/2026")[0]
    entry = found.reason("TokenExpired", "lake-operator", "DatasetMount")
    assert (cause.id, cause.category, fields) == ("lake_token_expired", "storage", {"dataset": "clicks/2026"})
    assert entry is not None
    assert (entry.cause, entry.blame, entry.types) == ("lake_token_expired", "configuration", ["Warning"])
    assert found.cause("quota_exceeded").do.startswith("Ask in the channel")
    assert found.cause("quota_exceeded").meaning == known.cause("quota_exceeded").meaning


def test_a_cause_that_is_there_keeps_its_category_under_a_file_of_another(tmp_path: Path) -> None:
    write(tmp_path, category="storage", causes={"oom_killed": {"blame": "user_code"}})

    found = load(tmp_path).cause("oom_killed")

    assert (found.blame, found.category) == ("user_code", "oom")


def test_a_changed_cause_changes_its_reasons(tmp_path: Path) -> None:
    write(tmp_path, causes={"oom_killed": {"blame": "user_code"}})

    entry = load(tmp_path).reason("OOMKilled")

    assert entry is not None
    assert entry.blame == "user_code"


def test_a_reason_that_is_there_is_changed_field_by_field(tmp_path: Path, known: Catalogue) -> None:
    write(tmp_path, reasons={"kubelet": {"Pod": {"BackOff": {"says": "Ours"}}}})

    changed, before = load(tmp_path).reason("BackOff"), known.reason("BackOff")

    assert changed is not None
    assert before is not None
    assert (changed.says, changed.types, changed.role) == ("Ours", before.types, before.role)


def test_own_rows_are_tried_first(tmp_path: Path) -> None:
    write(
        tmp_path,
        causes={"mirror_down": CAUSE},
        messages=[{"reasons": ["Failed"], "rows": [{"cause": "mirror_down", "has": ["mirror.team"]}]}],
    )

    found = load(tmp_path)

    said = 'Failed to pull image "mirror.team/a:1": not found: manifest unknown'
    assert [cause.id for cause, _ in found.sub_causes("Failed", said)] == ["mirror_down"]
    assert [cause.id for cause, _ in found.sub_causes("Failed", said.replace("mirror.team", "hub"))] == [
        "image_not_found"
    ]


def test_files_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    write(tmp_path, "2.yaml", causes={"oom_killed": {"title": "Second"}})
    write(tmp_path, "1.yml", causes={"oom_killed": {"title": "First"}})

    assert load(tmp_path).cause("oom_killed").title == "Second"


def test_yes_and_no_need_no_quotes(tmp_path: Path) -> None:
    (tmp_path / "team.yaml").write_text("causes: {oom_killed: {retry: no}, killed: {retry: yes}}", encoding="utf-8")

    found = load(tmp_path)

    assert (found.cause("oom_killed").retry, found.cause("killed").retry) == ("no", "yes")


def test_own_edges_makers_aliases_and_victims_are_added(tmp_path: Path, known: Catalogue) -> None:
    write(
        tmp_path,
        aliases={"team-kubelet": "kubelet"},
        edges=[{"explains": ["oom_killed"], "effects": ["BackOff"], "relation": "owner", "within": 5}],
        recoveries=[{"of": ["BackOff"], "by": ["Started"]}],
        makers={"exit:77": [{"cause": "loss_nan"}]},
        victims=["port_in_use"],
    )

    found = load(tmp_path)

    maker = found.maker("exit:77")
    assert maker is not None
    assert maker.id == "loss_nan"
    assert found.component("team-kubelet") == "kubelet"
    assert len(found.edges) == len(known.edges) + 1
    assert len(found.recoveries) == len(known.recoveries) + 1
    assert found.victims == known.victims | {"port_in_use"}


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ({"cause": {}}, "team.yaml: cause: unknown; the parts of a file are category, causes"),
        ({"causes": {"mine": {"title": "T"}}}, "team.yaml: causes.mine: the entry missing required field `meaning`"),
        (
            {"causes": {"mine": {**CAUSE, "blame": "me"}}},
            "team.yaml: causes.mine: Invalid enum value 'me' - at `blame`",
        ),
        ({"causes": {"mine": {**CAUSE, "wat": 1}}}, "team.yaml: causes.mine: the entry contains unknown field `wat`"),
        ({"causes": {"mine": {**CAUSE, "specificity": 9}}}, "team.yaml: causes.mine: Expected `int` <= 5"),
        ({"causes": {"Mine": CAUSE}}, "team.yaml: causes.Mine: an id has lower case letters"),
        ({"causes": [1]}, "team.yaml: causes: a mapping is expected, by name"),
        ({"causes": {"mine": "text"}}, "team.yaml: causes.mine: a mapping is expected"),
        (
            {"reasons": {"c": {"Pod": {"R": {"cause": "nope", "type": "Normal"}}}}},
            "team.yaml: reasons.c.Pod.R: no cause",
        ),
        (
            {"reasons": {"c": {"Pod": {"R": {"type": "Normal"}}}}},
            "team.yaml: reasons.c.Pod.R: the entry missing required",
        ),
        (
            {"reasons": {"c": {"Pod": {1: {"type": "Normal"}}}}},
            "team.yaml: reasons.c.Pod.1: a mapping is expected (quote",
        ),
        ({"reasons": {"c": {"Pod": {"R": {"cause": ["x"], "type": "a"}}}}}, "team.yaml: reasons.c.Pod.R: no cause"),
        (
            {"reasons": {"c": {"Pod": {"R": {"role": ["x"], "type": "a"}}}}},
            "team.yaml: reasons.c.Pod.R: Expected `str`",
        ),
        ({"messages": {}}, "team.yaml: messages: a list is expected: begin each entry with '- '"),
        ({"messages": [{"reasons": ["R"], "rows": []}]}, "team.yaml: messages[0]: Expected `array` of length >= 1"),
        (
            {"messages": [{"reasons": ["R"], "rows": [{"cause": "nope", "has": ["abc"]}]}]},
            "team.yaml: messages for R: nope: no cause 'nope': add it under causes",
        ),
        (
            {"messages": [{"reasons": ["R"], "rows": [{"cause": "oom_killed"}]}]},
            "team.yaml: messages for R: oom_killed: neither has nor match: say how to recognise it",
        ),
        (
            {"messages": [{"reasons": ["R"], "rows": [{"cause": "oom_killed", "has": ["Upper"]}]}]},
            "team.yaml: messages[0]: Expected `str` matching regex",
        ),
        (
            {"messages": [{"reasons": ["R"], "rows": [{"cause": "oom_killed", "match": "(a"}]}]},
            "team.yaml: messages for R: oom_killed: no pattern: missing ), unterminated subpattern",
        ),
        (
            {"messages": [{"reasons": ["R"], "rows": [{"cause": "oom_killed", "match": "a*"}]}]},
            "team.yaml: messages for R: oom_killed: a pattern that matches nothing at all matches every message",
        ),
        (
            {"messages": [{"reasons": ["R"], "fields": "(", "rows": [{"cause": "oom_killed", "has": ["abc"]}]}]},
            "team.yaml: messages for R: R: no pattern",
        ),
        (
            {"edges": [{"explains": ["nope"], "effects": ["BackOff"], "relation": "pod"}]},
            "team.yaml: edges: 'nope' is no cause, reason or category",
        ),
        ({"edges": [{"explains": ["x"], "effects": ["y"], "relation": "aunt"}]}, "team.yaml: edges[0]: Invalid enum"),
        ({"victims": ["nope"]}, "makers or victims: no cause 'nope'"),
        ({"makers": {"exit:1": [{"cause": "nope"}]}}, "makers or victims: no cause 'nope'"),
        ({"aliases": ["a"]}, "team.yaml: aliases: Expected `object`"),
    ],
)
def test_a_mistake_is_told_with_file_entry_and_remedy(tmp_path: Path, parts: dict[str, Any], told: str) -> None:
    found = errors(write(tmp_path, **parts))

    assert len(found) == 1
    assert found[0].startswith(told)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", causes={"mine": {}, "yours": {"title": 1}})
    write(tmp_path, "b.yaml", victims=["nope"])

    assert len(errors(tmp_path)) == 3


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("causes: [\n", "team.yaml:2: no YAML: did not find expected node"),
        ("a: b: c", "team.yaml:1: no YAML: mapping values are not allowed in this context; put a text that holds ': '"),
        ("- 1", "team.yaml: a mapping is expected; the parts of a file are"),
        ("", "team.yaml: a mapping is expected"),
        ("\udcff", "team.yaml: can't be read"),
        ("causes: !!python/object:os.system {}", "team.yaml:1: no YAML: could not determine a constructor"),
    ],
)
def test_a_file_that_is_none_is_told(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "team.yaml").write_bytes(text.encode("utf-8", "surrogateescape"))

    assert errors(tmp_path)[0].startswith(told)


def test_a_folder_without_files_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()

    with pytest.raises(CatalogueError, match=r"holds no file: the names of catalogue files end in \.yaml"):
        load(tmp_path)


def test_a_file_in_place_of_a_folder_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "team.yaml").touch()

    with pytest.raises(CatalogueError, match="is no folder: name one that holds files"):
        load(tmp_path / "team.yaml")


def test_no_name_stands_twice_in_an_own_file() -> None:
    twice: list[str] = []

    def look(node: yaml.Node | None) -> None:
        if isinstance(node, yaml.MappingNode):
            names = [key.value for key, _ in node.value]
            twice.extend(name for name in set(names) if names.count(name) > 1)
        for child in node.value if node is not None and isinstance(node.value, list) else ():
            for each in child if isinstance(child, tuple) else (child,):
                look(each)

    for path in DATA:
        look(yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader))

    assert DATA
    assert twice == []


def test_no_cause_is_told_in_two_own_files() -> None:
    found = [name for path in DATA for name in yaml.safe_load(path.read_text(encoding="utf-8")).get("causes", ())]

    assert [name for name, number in Counter(found).items() if number > 1] == []


def test_the_own_patterns_compile_and_ask_for_something(known: Catalogue) -> None:
    patterns = [row.pattern for group in known.messages for row in group.rows if row.match]
    patterns += [group.pattern for group in known.messages if group.fields]

    assert [each for each in patterns if each is None or each.search("")] == []


def test_loading_the_catalogue_costs_little_more_than_reading_its_yaml() -> None:
    texts = [path.read_text(encoding="utf-8") for path in DATA]
    least = fastest(lambda: [yaml.load(text, Loader=yaml.CSafeLoader) for text in texts])

    assert fastest(load) < 2 * least  # it is about as much


def fastest(work: Callable[[], object]) -> float:
    """The least of some times, in seconds of one processor."""
    times = []
    for _ in range(4):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return min(times)
