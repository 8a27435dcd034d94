"""What fits its shape is decoded fast; what does not is read field by field, and the rest survives."""

import datetime as dt
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipetrail.kube import decode, wire
from pipetrail.kube.decode import Broken, Decoder, fit, tolerant_json
from pipetrail.testing.strategies import json_values
from tests.kube import fuzz_decode, shapes

EVENT = Decoder(wire.KubeEvent)


def frame(item: Any, type_: str = "ADDED") -> bytes:
    return json.dumps({"type": type_, "object": item}).encode() + b"\n"


def decoded(item: Any) -> Any:
    """The wire object of one good frame."""
    (found,) = EVENT.frames(frame(item))
    assert isinstance(found, wire.Frame)
    return found.object


@given(texts=st.lists(st.text(max_size=30), min_size=1, max_size=5), ascii_=st.booleans())
def test_frames_hold_what_pythons_own_parser_reads(texts: list[str], ascii_: bool) -> None:
    items = [{"metadata": {"name": f"e{number}", "uid": text}, "message": text} for number, text in enumerate(texts)]
    lines = b"".join(
        json.dumps({"type": "MODIFIED", "object": item}, ensure_ascii=ascii_).encode("utf-8", "replace") + b"\n"
        for item in items
    )
    found = EVENT.frames(lines)

    oracle = [json.loads(line.decode()) for line in lines.split(b"\n") if line]
    assert [item.type for item in found] == ["MODIFIED"] * len(texts)  # type: ignore[union-attr]
    for item, expected in zip(found, oracle, strict=True):
        assert isinstance(item, wire.Frame)
        assert item.object.message == whole(expected["object"]["message"])
        assert item.object.metadata.uid == whole(expected["object"]["metadata"]["uid"])


def whole(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


@pytest.mark.parametrize("shape", [wire.KubeEvent, wire.Pod, wire.Node])
@given(data=st.data())
def test_a_wrong_value_in_any_field_never_raises_and_spares_the_others(
    shape: type[wire.Wire], data: st.DataObject
) -> None:
    good = shapes.EXAMPLES[shape]
    places = shapes.places(good)
    place = data.draw(st.sampled_from(places))
    value = data.draw(json_values)
    bent = shapes.replaced(good, place, value)
    decoder = Decoder(shape)
    item = decoder.item(json.dumps(bent).encode())
    expected = decoder.item(json.dumps(good).encode())

    assert isinstance(item, shape)
    # Fields beside the path of the bent one are as they were.
    found, oracle = msgspec.structs.asdict(item), msgspec.structs.asdict(expected)
    names = {field.encode_name: field.name for field in msgspec.structs.fields(shape)}
    bent_field = names[str(place[0])]
    assert {key: value for key, value in found.items() if key != bent_field} == {
        key: value for key, value in oracle.items() if key != bent_field
    }
    inner, inner_oracle = found[bent_field], oracle[bent_field]
    if len(place) > 1 and isinstance(inner_oracle, msgspec.Struct):
        for field in msgspec.structs.fields(inner_oracle):
            if field.encode_name != place[1]:
                assert getattr(inner, field.name) == getattr(inner_oracle, field.name)


def test_a_bent_object_is_counted_and_what_parses_is_kept() -> None:
    decoder = Decoder(wire.KubeEvent)
    (found,) = decoder.frames(
        frame(
            {
                "metadata": {"name": 5, "namespace": "ml", "labels": {"a": "b", "c": 1}, "creationTimestamp": "now"},
                "involvedObject": {"kind": "Pod", "name": ["x"]},
                "count": "7",
                "reason": "BackOff",
                "series": "often",
                "lastTimestamp": "2026-11-24T03:12:00Z",
            }
        )
    )
    assert isinstance(found, wire.Frame)
    event = found.object

    assert decoder.bent == 1
    assert (event.metadata.name, event.metadata.namespace, event.metadata.labels) == ("5", "ml", {"a": "b"})
    assert event.metadata.creation_timestamp is None
    assert (event.involved_object.kind, event.involved_object.name) == ("Pod", "")
    assert (event.count, event.reason, event.series) == (7, "BackOff", None)
    assert event.last_timestamp is not None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b'"half \\ud800 pair"', "half ? pair"),
        (b'"whole \\ud83d\\udd25 pair"', "whole 🔥 pair"),
        (b'"raw \x00 nul and \x01"', "raw \0 nul and \x01"),
        (b'"escaped \\u0000 nul"', "escaped \0 nul"),
        (b'"bad \xff utf-8"', "bad \ufffd utf-8"),
        ('"next\x85line\u2028sep"'.encode(), "next\x85line\u2028sep"),
        (b'"tab\there"', "tab\there"),
    ],
)
def test_strange_characters_in_a_message_are_kept_or_replaced(text: bytes, expected: str) -> None:
    (found,) = EVENT.frames(b'{"type":"ADDED","object":{"reason":"R","message":%s}}\n' % text)

    assert isinstance(found, wire.Frame)
    assert (found.object.message, found.object.reason) == (expected, "R")


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b"{}",
        b'{"type":"ADDED"}',
        b'{"type":5,"object":{}}',
        b'{"object":{}}',
        b'{"type":"ADDED","object":null}',
        b'{"type":"ADDED","object":5}',
        b'{"type":"ADDED","object":[{}]}',
        b'{"type":"ERROR","object":null}',
        b'{"type":"ADDED","object":{}} trailing',
        b'{"type":"ADDED","object":{"count":%s}}' % (b"9" * 5000),
        b'{"type":"ADDED","object":{"x":%s}}' % (b"[" * 100_000),
        b'{"type":"ADDED","object":{"message":%s}}' % (b"[" * 100_000 + b"]" * 100_000),
        b"\xff\xfe\x00",
        b'{"type":"ADDED","object":{"kind":"Event"',
    ],
)
def test_a_line_that_is_no_frame_spoils_only_itself(line: bytes) -> None:
    good = frame({"reason": "Good"})
    found = EVENT.frames(good + line + b"\n" + good)
    reasons = [item.object.reason for item in found if isinstance(item, wire.Frame)]
    broken = [item for item in found if isinstance(item, Broken)]

    assert [reason for reason in reasons if reason] == ["Good", "Good"]
    assert len(found) == 2 + bool(line.strip())
    for item in broken:
        assert item.raw == line
        assert 0 < len(item.reason) <= 256


@pytest.mark.parametrize("number", [b"99999999999999999999999", b"1e400", b"-1", b"1.5", b"NaN", b"true", b'"x"'])
def test_a_number_that_can_not_be_a_count_never_raises(number: bytes) -> None:
    (found,) = EVENT.frames(b'{"type":"ADDED","object":{"reason":"R","count":%s}}\n' % number)

    assert isinstance(found, wire.Frame)
    assert found.object.reason == "R"
    assert isinstance(found.object.count, int | None)


def test_an_error_frame_holds_a_status_also_among_others_and_bent() -> None:
    status = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}
    for error in (status, status | {"details": "none", "code": "410"}):
        lines = frame({"reason": "R"}) + frame(error, "ERROR")
        first, second = EVENT.frames(lines)

        assert isinstance(first, wire.Frame)
        assert isinstance(second, wire.Frame)
        assert first.object.reason == "R"
        assert (second.type, second.object.code, second.object.reason) == ("ERROR", 410, "Expired")


def test_an_item_that_is_no_object_is_a_value_error() -> None:
    for raw in (b"5", b"[]", b"null", b"{", b"[" * 100_000, b'{"count":%s}' % (b"9" * 5000)):
        with pytest.raises(ValueError, match=r"."):
            EVENT.item(raw)


def test_both_event_apis_are_read() -> None:
    event = decoded({"regarding": {"kind": "Pod", "name": "p"}, "note": "n", "deprecatedCount": 3})

    assert (event.regarding.name, event.note, event.deprecated_count) == ("p", "n", 3)


@given(value=json_values)
def test_any_json_becomes_an_object_of_a_shape(value: Any) -> None:
    for shape in (wire.Condition, wire.Meta, wire.PodStatus):
        assert isinstance(fit(value, shape), shape)


@given(value=json_values)
def test_tolerant_parsing_agrees_with_strict_parsing(value: Any) -> None:
    assert tolerant_json(json.dumps(value).encode()) == json.loads(json.dumps(value))


def test_first_time_is_the_first_plausible_one() -> None:
    times = [
        msgspec.convert(text, dt.datetime)
        for text in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-11-24T03:12:00.123456Z")
    ]

    assert decode.first_time([None, *times], range(10**15, 2 * 10**15)) == 1_795_489_920_123_456
    assert decode.first_time([None, *times[:2]], range(10**15, 2 * 10**15)) is None


def test_ten_thousand_labels_and_eight_mebibytes_are_read() -> None:
    labels = {f"label-{number}": "v" * 20 for number in range(10_000)}
    event = decoded({"metadata": {"name": "e", "labels": labels}, "message": "m" * (8 << 20)})

    assert event.metadata.labels == labels
    assert len(event.message) == 8 << 20


def test_a_short_run_of_the_fuzzer_finds_nothing() -> None:
    assert fuzz_decode.run(seconds=2.0) > 100
