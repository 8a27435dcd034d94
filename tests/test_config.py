"""The configuration file: every mistake at once, each with its file and line."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipetrail import config
from pipetrail.config import Config, ConfigError, load, parse_address, parse_retention_age, parse_size
from tests.stores import facts


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "pipetrail.yaml"


def mistakes(path: Path, text: str) -> list[str]:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as told:
        load(str(path))
    assert str(told.value) == "\n".join(told.value.errors)
    return [error.replace(str(path), "FILE") for error in told.value.errors]


def test_without_a_file_and_with_an_empty_one_there_are_defaults(path: Path) -> None:
    path.write_text("# nothing\n")

    assert load(None) == load(str(path)) == Config()


def test_everything_that_can_be_said_is_read(path: Path) -> None:
    path.write_text(
        "journal: /var/lib/pipetrail/journal.db\n"
        "clusters:\n"
        "  - context: prod\n"
        "    name: eu\n"
        "    kubeconfig: /etc/kube\n"
        "    namespaces: [ml, default]\n"
        "  - {}\n"
        "retention: {size: 20Gi, age: 30d}\n"
        "event_ttl: 90m\n"
        'listen: "[::]:9000"\n'
        "full_text: false\n"
        "resolvers: [{name: in-house, run: {label: team/run}}]\n"
    )
    found = load(str(path))

    assert found.journal == "/var/lib/pipetrail/journal.db"
    assert [cluster.name for cluster in found.clusters] == ["eu", None]
    assert found.clusters[0].namespaces == ["ml", "default"]
    assert (found.retention.size, found.retention.age, found.event_ttl) == ("20Gi", "30d", "90m")
    assert (found.listen, found.full_text) == ("[::]:9000", False)


def test_every_mistake_is_told_at_once_with_its_line(path: Path) -> None:
    found = mistakes(
        path,
        "journal: 5\n"
        "clsuters: []\n"
        "clusters:\n"
        "  - context: prod\n"
        "    nmae: eu\n"
        "  - namespaces: ml\n"
        "  - prod\n"
        "retention:\n"
        "  size: large\n"
        "  age: 5 years\n"
        "  keep: all\n"
        "event_ttl: soon\n"
        "listen: localhost\n"
        "full_text: maybe\n",
    )

    assert found == [
        "FILE:1: journal: Expected `str | null`, got `int`",
        "FILE:2: clsuters: unknown; allowed are journal, clusters, retention, event_ttl, stuck_after, "
        "zombie_after, listen, full_text, catalogue, resolvers, sinks",
        "FILE:5: clusters[0].nmae: unknown; allowed are context, kubeconfig, name, namespaces",
        "FILE:6: clusters[1].namespaces: Expected `array`, got `str`",
        "FILE:7: clusters[2]: a mapping is expected",
        "FILE:9: retention.size: 'large' is no size: write 500M, 10Gi or 0 for no bound",
        "FILE:10: retention.age: '5 years' is no age: write 12h, 30d or 0 for no bound",
        "FILE:11: retention.keep: unknown; allowed are size, age",
        "FILE:12: event_ttl: 'soon' is no length of time: write 1h or 90m",
        "FILE:13: listen: 'localhost' is no address: write 127.0.0.1:8380",
        "FILE:14: full_text: Expected `bool`, got `str`",
    ]


def test_what_counts_as_too_long_is_a_length_of_time_or_0(path: Path) -> None:
    found = mistakes(path, "stuck_after: soon\nzombie_after: 5\n")

    assert found == [
        "FILE:1: stuck_after: 'soon' is no length of time: write 1h, 90m or 0 for ever",
        "FILE:2: zombie_after: Expected `str`, got `int`",
    ]
    path.write_text("stuck_after: 2h\nzombie_after: '0'\n", encoding="utf-8")
    assert (load(str(path)).stuck_after, load(str(path)).zombie_after) == ("2h", "0")


def test_a_value_that_needs_quotes_is_told_with_its_line(path: Path) -> None:
    """T-84."""
    (found,) = mistakes(path, "journal: x\nlisten: {{info}}\n")

    assert found.startswith("FILE:2: no YAML: ")
    assert "quotes" in found


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("- a\n- b\n", "FILE:1: a mapping is expected"),
        ("just text", "FILE:1: a mapping is expected"),
        ("journal: [1\n", "FILE:2: no YAML: "),
        ("a: b: c\n", "FILE:1: no YAML: "),
        ("journal: 'x\n", "FILE:2: no YAML: "),
        ("\tjournal: x\n", "FILE:1: no YAML: "),
        ("journal: !!python/object:os.system x\n", "FILE:1: no YAML: "),
        ("journal: \x01\n", "FILE"),
        ("? [a]\n: b\n", "FILE:1: "),
        ("1: x\ntrue: y\n", "FILE:1: 1: unknown"),
        ("retention: 5\n", "FILE:1: retention: a mapping is expected"),
        ("clusters: 5\n", "FILE:1: clusters: Expected `array`, got `int`"),
        ("journal: &a {x: *a}\n", "FILE:1: "),
    ],
)
def test_what_is_no_configuration_is_told(path: Path, text: str, told: str) -> None:
    assert mistakes(path, text)[0].startswith(told)


def test_a_file_that_can_not_be_read_is_told(path: Path) -> None:
    with pytest.raises(ConfigError, match=r"pipetrail\.yaml: can't be read: No such file"):
        load(str(path))
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"pipetrail\.yaml: can't be read"):
        load(str(path))
    with pytest.raises(ConfigError, match="can't be read: Is a directory"):
        load(str(path.parent))


@given(text=st.one_of(st.text(max_size=60), st.text(alphabet="abc:-[]{}'\"#&*!|>%@ \n\t0", max_size=60)))
def test_no_text_is_so_strange_that_it_is_not_told_as_a_mistake(text: str) -> None:
    with facts.folder() as place:
        path = place / "c.yaml"
        path.write_text(text, encoding="utf-8")
        told: list[str] = []
        try:
            load(str(path))
        except ConfigError as error:
            told = error.errors
    assert all(line.startswith(str(path)) for line in told)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", None),
        ("1", 1),
        ("500M", 500_000_000),
        ("500MB", 500_000_000),
        ("10Gi", 10 << 30),
        ("10GiB", 10 << 30),
        ("1.5Ki", 1536),
        (" 2 ", 2),
        ("3t", 3 * 10**12),
    ],
)
def test_sizes(text: str, size: int | None) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "M", "10X", "-5", "1e3", "1.2.3", "ten", "1GiGi", ".", "²", "5 5"])
def test_what_is_no_size_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="is no size: write 500M, 10Gi or 0"):
        parse_size(text)


def test_ages_and_addresses() -> None:
    assert parse_retention_age("0") is None
    assert parse_retention_age("0s") is None
    assert parse_retention_age("1d12h") == 36 * 3600 * 1_000_000
    with pytest.raises(ValueError, match="is no age"):
        parse_retention_age("long")
    assert parse_address("127.0.0.1:8380") == ("127.0.0.1", 8380)
    assert parse_address("[::1]:80") == ("::1", 80)
    for text in ("8380", ":80", "host:", "host:x", "host:70000", "host:²"):
        with pytest.raises(ValueError, match="is no address"):
            parse_address(text)


def test_the_default_journal_is_in_the_users_state_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert config.default_journal() == str(tmp_path / "pipetrail" / "journal.db")
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert config.default_journal() == str(tmp_path / ".local" / "state" / "pipetrail" / "journal.db")


def test_a_resolver_of_the_wrong_form_is_told_with_its_line(path: Path) -> None:
    found = mistakes(path, "full_text: true\nresolvers:\n  - name: ours\n    run: {lable: team/run}\n  - name: other\n")

    form = "`{label: team.example/run-id}`, `{annotation: ...}` or, for the run, `{owner: Kind.group}`"
    assert found == [
        f"FILE:3: resolvers[0].run: one of label, annotation, owner is expected: {form}",
        f"FILE:5: resolvers[1].run: what names a run is expected: {form}",
    ]


def test_a_catalogue_of_own_files_is_checked_where_it_is_asked_for(path: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "team.yaml").write_text("causes: []\n", encoding="utf-8")
    path.write_text(f"full_text: true\ncatalogue: {own}\n", encoding="utf-8")

    assert load(str(path)).catalogue == str(own)
    with pytest.raises(ConfigError) as caught:
        load(str(path), thorough=True)
    assert caught.value.errors == [
        f"{path}:2: catalogue: {own / 'team.yaml'}: causes: a mapping is expected, by name",
    ]


def test_a_catalogue_that_is_no_folder_is_told_with_its_line(path: Path) -> None:
    path.write_text("catalogue: /nowhere\n", encoding="utf-8")

    with pytest.raises(ConfigError, match=r":1: catalogue: /nowhere: is no folder"):
        load(str(path), thorough=True)
