"""The section `sinks`: every mistake at once with its line, secrets put in and never shown, bounds on the file."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipetrail.config import Config, ConfigError, has_sinks, load
from pipetrail.config.schema import field_docs, schema
from pipetrail.config.secrets import Secret, masked
from pipetrail.sinks.kinds import KINDS, kind
from tests.stores import facts

SECRET = "hunter2-of-the-lake"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "pipetrail.yaml"


def read(path: Path, text: str) -> Config:
    path.write_text(text, encoding="utf-8")
    return load(str(path), sinks=True)


def mistakes(path: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as told:
        read(path, text)
    return [error.replace(str(path), "FILE") for error in told.value.errors]


def test_a_sink_is_read_as_the_settings_of_its_kind(path: Path) -> None:
    found = read(path, "sinks:\n  audit:\n    type: file\n    path: /var/log/events.jsonl\n    batch: {events: 10}\n")

    assert type(found.sinks["audit"]) is kind("file").Settings
    assert found.sinks["audit"].batch.events == 10


def test_every_mistake_in_the_sinks_is_told_at_once_with_its_line(path: Path) -> None:
    found = mistakes(
        path,
        "journla: x\n"
        "sinks:\n"
        "  Upper Case: {type: file}\n"
        "  none: {}\n"
        "  odd:\n"
        "    type: carrier-pigeon\n"
        "  list: [1]\n"
        "  audit:\n"
        "    type: file\n"
        "    path: 5\n"
        "    start: then\n"
        "    hold: 60\n"
        "    batch:\n"
        "      events: 0\n"
        "      bytes: large\n"
        "      secnods: 1\n"
        "    retry: {give_up: soon}\n"
        "    limits: {dead_letters: 0, rate: fast}\n",
    )

    kinds = ", ".join(KINDS)
    allowed = ", ".join(field.name for field in msgspec.structs.fields(Config))
    assert found == [
        f"FILE:1: journla: unknown; allowed are {allowed}",
        "FILE:3: sinks.Upper Case: a name has up to 40 of a to z, 0 to 9 and -",
        f"FILE:4: sinks.none.type: it is missing; it is one of {kinds}",
        f"FILE:6: sinks.odd.type: 'carrier-pigeon' is none of {kinds}",
        "FILE:7: sinks.list: a mapping is expected",
        "FILE:10: sinks.audit.path: Expected `str`, got `int`",
        "FILE:11: sinks.audit.start: 'then' is none of now, oldest",
        "FILE:12: sinks.audit.hold: 60 is not between 0 and 5",
        "FILE:14: sinks.audit.batch.events: 0 is not between 1 and 100,000",
        "FILE:15: sinks.audit.batch.bytes: 'large' is no size: write 500k, 5Mi or 1Gi",
        "FILE:16: sinks.audit.batch.secnods: unknown; allowed are events, bytes, seconds",
        "FILE:17: sinks.audit.retry.give_up: 'soon' is no length of time: write 90s, 12h or 1d",
        "FILE:18: sinks.audit.limits.dead_letters: 0 is not between 1 and 10,000,000",
        "FILE:18: sinks.audit.limits.rate: Expected `float`, got `str`",
    ]


def test_what_is_required_is_missed(path: Path) -> None:
    assert mistakes(path, "sinks:\n  hook:\n    type: webhook\n") == ["FILE:2: sinks.hook.url: it is missing"]


@pytest.mark.parametrize("url", ["ftp://host/x", "host:9200", "https://", "http://host:0x/", "http://[::1", "/path"])
def test_an_address_that_is_none_is_told(path: Path, url: str) -> None:
    found = mistakes(path, f"sinks: {{hook: {{type: webhook, url: '{url}'}}}}\n")

    assert found == ["FILE:1: sinks.hook.url: an address such as https://host:port/path is needed"]


def test_a_password_in_an_address_is_refused_and_not_repeated(path: Path) -> None:
    found = mistakes(path, f"sinks: {{hook: {{type: webhook, url: 'https://ann:{SECRET}@host/'}}}}\n")

    assert found == ["FILE:1: sinks.hook.url: write the user and the password under auth, not in the address"]


@pytest.mark.parametrize("field", ["match", "drop"])
def test_a_rule_of_the_wrong_form_is_told_with_the_allowed_words(path: Path, field: str) -> None:
    (found,) = mistakes(
        path, f"sinks:\n  audit:\n    type: file\n    path: /x\n    {field}:\n      - resaon: OOMKilled\n"
    )

    assert found.startswith(("FILE:5: ", "FILE:6: "))
    assert f"sinks.audit.{field}" in found
    assert "resaon" in found
    assert "severity" in found  # one of the allowed words


def test_no_sinks_at_all_are_said_in_several_ways(path: Path) -> None:
    for text in ("", "sinks:\n", "sinks: {}\n", "journal: x\n"):
        assert read(path, text).sinks == {}
        assert not has_sinks(str(path))
    assert mistakes(path, "sinks: [file]\n") == [
        "FILE:1: sinks: a mapping is expected, from the name of each sink to its settings"
    ]


def test_whether_a_file_names_sinks_is_seen_without_their_secrets(path: Path) -> None:
    path.write_text("sinks: {hook: {type: webhook, url: '${NOWHERE_SET}'}}\n", encoding="utf-8")
    assert has_sinks(str(path))
    path.write_text("sinks: [", encoding="utf-8")
    assert has_sinks(str(path))


# ---- variables and files


def test_variables_and_files_are_put_in(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKE_HOST", "lake.example.com")
    (tmp_path / "password").write_text(SECRET + "\n", encoding="utf-8")
    found = read(
        path,
        "sinks:\n"
        "  lake:\n"
        "    type: webhook\n"
        "    url: https://${LAKE_HOST}:9200/x\n"
        f"    auth: {{username: ann, password: file:{tmp_path}/password}}\n"
        "    headers: {X-Price: '$${LAKE_HOST} ${5} $x'}\n",
    ).sinks["lake"]

    assert (found.url, found.auth.password) == ("https://lake.example.com:9200/x", SECRET)  # type: ignore[attr-defined]
    assert found.headers == {"X-Price": "${LAKE_HOST} ${5} $x"}  # type: ignore[attr-defined]


def test_only_the_end_of_the_last_line_of_a_file_is_cut(path: Path, tmp_path: Path) -> None:
    for text, value in (("a\n\n", "a\n"), (" a ", " a "), ("a\r\n", "a"), ("", "")):
        (tmp_path / "file").write_bytes(text.encode())

        assert read(path, f"journal: file:{tmp_path}/file\n").journal == value


def test_what_is_missing_is_named_with_its_line(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAKE_PASSWORD", raising=False)
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    found = mistakes(
        path,
        "sinks:\n"
        "  lake:\n"
        "    type: webhook\n"
        "    url: https://host/${LAKE_PASSWORD}\n"
        "    auth:\n"
        "      password: ${LAKE_PASSWORD}\n"
        f"      token: file:{tmp_path}/nowhere\n"
        f"    proxy: file:{tmp_path}/bytes\n",
    )

    variable = "the variable LAKE_PASSWORD is not set; write $${LAKE_PASSWORD} where no variable is meant"
    assert found == [
        f"FILE:4: sinks.lake.url: {variable}",
        f"FILE:6: sinks.lake.auth.password: {variable}",
        f"FILE:7: sinks.lake.auth.token: the file {tmp_path}/nowhere can't be read: No such file or directory",
        f"FILE:8: sinks.lake.proxy: the file {tmp_path}/bytes is no text in UTF-8",
    ]


def test_who_only_reads_the_journal_needs_no_secrets(path: Path) -> None:
    path.write_text("journal: j.db\nsinks: {x: {type: webhook, url: '${NOWHERE_SET}'}, y: 5}\n", encoding="utf-8")

    assert load(str(path)) == Config(journal="j.db")


@pytest.mark.parametrize(
    "field", ["type", "start", "url", "proxy", "timeout", "headers", "auth", "match", "drop", "tls", "batch", "hold"]
)
@pytest.mark.parametrize("source", ["variable", "file"])
def test_no_mistake_shows_a_secret_wherever_it_was_put(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, field: str, source: str
) -> None:
    monkeypatch.setenv("LAKE_SECRET", SECRET)
    (tmp_path / "secret").write_text(SECRET, encoding="utf-8")
    value = "${LAKE_SECRET}" if source == "variable" else f"file:{tmp_path}/secret"
    fields = {"type": "webhook", "url": "https://host/", field: value}
    shown = f"{field}: {value}\n"
    text = "sinks:\n  lake:\n" + "".join(f"    {name}: '{found}'\n" for name, found in fields.items())

    found = "\n".join(mistakes(path, text))

    assert f"sinks.lake.{field}" in found
    assert SECRET not in found
    assert shown not in found


def test_settings_do_not_show_their_secrets(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKE_SECRET", SECRET)
    found = read(
        path,
        "sinks:\n"
        "  lake:\n"
        "    type: webhook\n"
        "    url: https://host/${LAKE_SECRET}\n"
        "    headers: {X-Key: '${LAKE_SECRET}'}\n"
        f"    auth: {{username: ann, password: literal-{SECRET}}}\n",
    )

    assert SECRET not in repr(found)
    assert SECRET not in f"{found} {found!r} {found.sinks}"


def test_a_variable_that_is_no_secret_is_a_plain_text_that_a_document_can_hold(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLACE", "/var/log")
    found = read(path, "sinks: {audit: {type: file, path: '${PLACE}/x'}}\n").sinks["audit"]

    assert msgspec.to_builtins(found)["path"] == "/var/log/x"


def test_a_password_in_the_file_itself_is_warned_of(path: Path) -> None:
    path.write_text(
        "sinks:\n"
        "  lake:\n"
        "    type: webhook\n"
        "    url: https://host/\n"
        "    auth:\n"
        f"      password: {SECRET}\n"
        "      token: file:/run/secrets/token\n",
        encoding="utf-8",
    )
    warned: list[str] = []
    with pytest.raises(ConfigError):
        load(str(path), sinks=True, warn=warned.append)

    hint = "it stands in the file for all who read it; write ${NAME} or file:/path"
    assert warned == [f"{path}:6: sinks.lake.auth.password: {hint}"]


def test_a_secret_is_a_text_like_any_other_but_for_how_it_is_shown() -> None:
    secret = Secret("x")

    assert secret == "x"
    assert f"{secret}" == "x"
    assert repr(secret) == repr([secret])[1:-1] == "'***'"
    assert masked("wrong: xyz", {"a": [secret]}) == "wrong: ***yz"


# ---- bounds of the file


def test_a_key_that_stands_twice_is_a_mistake(path: Path) -> None:
    found = mistakes(path, "journal: a\nsinks:\n  x: {type: file, path: /a}\n  x: {type: file, path: /b}\njournal: c\n")

    assert found == ["FILE:4: x: it stands in line 3 already", "FILE:5: journal: it stands in line 1 already"]


def test_anchors_are_understood_and_merged(path: Path) -> None:
    found = read(
        path,
        "sinks:\n  a: &base {type: file, path: /a, batch: {events: 7}}\n  b:\n    <<: *base\n    path: /b\n",
    )

    assert [sink.batch.events for sink in found.sinks.values()] == [7, 7]


@pytest.mark.parametrize("depth", [6, 9, 60])
def test_a_bomb_of_anchors_is_refused_at_once(path: Path, depth: int) -> None:
    lines = ["a0: &a0 [" + ", ".join("x" * 10) + "]"]
    lines += [f"a{n}: &a{n} [" + ", ".join([f"*a{n - 1}"] * 10) + "]" for n in range(1, depth)]

    (found,) = mistakes(path, "\n".join(lines))

    assert found.startswith("FILE:")
    assert "too many or too deep values, perhaps by anchors" in found


@pytest.mark.parametrize(
    "text",
    ["a: " + "[" * 60 + "]" * 60, "\n".join(" " * n + "a:" for n in range(60)), "x: &x {y: *x}\n", "- &x [*x]\n"],
)
def test_values_without_a_bottom_are_refused(path: Path, text: str) -> None:
    (found,) = mistakes(path, text)

    assert "too many or too deep values" in found


def test_a_huge_file_is_refused(path: Path) -> None:
    assert mistakes(path, "# " + "x" * (1 << 20)) == ["FILE: it is larger than 1 MiB: no configuration is"]
    assert "too many" in mistakes(path, "a: [" + "1," * 100_001 + "]")[0]


@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["type", "url", "path", "match", "batch", "auth", "x"]), inner, max_size=4
            )
        ),
        max_leaves=8,
    ),
    word=st.sampled_from(["file", "stdout", "webhook"]),
)
def test_no_settings_are_so_strange_that_they_are_not_told_as_mistakes(value: Any, word: str) -> None:
    sink = {**value, "type": word} if isinstance(value, dict) else value
    with facts.folder() as place:
        path = place / "c.yaml"
        path.write_text(json.dumps({"sinks": {"x": sink}}), encoding="utf-8")
        told: list[str] = []
        try:
            load(str(path), sinks=True)
        except ConfigError as error:
            told = error.errors

    assert all(line.startswith(str(path)) for line in told)


# ---- the schema


def test_the_schema_describes_each_field_of_each_kind_of_sink() -> None:
    found = json.loads(schema())
    sinks = found["$defs"]["Config"]["properties"]["sinks"]
    kinds = {
        rule["if"]["properties"]["type"]["const"]: rule["then"]["$ref"]
        for rule in sinks["additionalProperties"]["allOf"]
    }

    assert sorted(kinds) == sorted(KINDS)
    assert sinks["additionalProperties"]["properties"]["type"]["enum"] == list(KINDS)
    for word, ref in kinds.items():
        settings = kind(word).Settings
        described = found["$defs"][ref.rpartition("/")[2]]
        assert described["additionalProperties"] is False
        assert sorted(described["properties"]) == sorted(field.name for field in msgspec.structs.fields(settings))
        assert [name for name, each in described["properties"].items() if not each.get("description")] == []
        assert described["required"] == [field.name for field in msgspec.structs.fields(settings) if field.required]


def test_each_field_of_each_kind_of_sink_says_what_it_means() -> None:
    for word in KINDS:
        settings = kind(word).Settings
        assert sorted(field_docs(settings)) == sorted(field.name for field in msgspec.structs.fields(settings))


def test_all_that_the_schema_points_to_is_there() -> None:
    found = json.loads(schema())

    def refs(value: Any) -> list[str]:
        if isinstance(value, dict):
            return [value["$ref"] for key in value if key == "$ref"] + [
                ref for inner in value.values() for ref in refs(inner)
            ]
        return [ref for inner in value for ref in refs(inner)] if isinstance(value, list) else []

    assert {ref.rpartition("/")[2] for ref in refs(found)} <= set(found["$defs"])


@pytest.mark.parametrize(
    ("rules", "warned_of"),
    [
        ({"match": {"severity": "error"}}, "match"),
        ({"match": [{"state": ["Failed", "Stuck"], "team": "vision"}, {"cause": "oom-killed"}]}, "match"),
        ({"match": {"origin": "verdict"}}, "match"),
        ({"drop": {"severity": "info"}}, "drop"),
        ({"match": {"namespace": "prod-*", "team": "vision"}}, ""),
        ({"match": {"origin": ["verdict", "run"]}}, ""),
        ({"match": [{"severity": "error"}, {"pipeline": "nightly"}]}, ""),
        ({"drop": [{"namespace": "dev-*"}, {"origin": "kubernetes"}, {"state": "Preempted"}]}, ""),
    ],
)
def test_rules_that_keep_good_runs_from_an_alertmanager_are_warned_of(
    path: Path, rules: dict[str, Any], warned_of: str
) -> None:
    pager = {"type": "alertmanager", "url": "http://alertmanager:9093", **rules}
    path.write_text(json.dumps({"sinks": {"pager": pager, "file": {"type": "file", "path": "/tmp/x", **rules}}}))
    warned: list[str] = []
    load(str(path), sinks=True, warn=warned.append)

    hint = "it leaves out runs that end well, so alerts last for a day; choose by cluster, namespace or pipeline"
    assert warned == ([f"{path}:1: sinks.pager.{warned_of}: {hint}"] if warned_of else [])
