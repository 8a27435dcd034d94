"""Settings of sinks get into logs and tracebacks by their representation: it has no secret, however they were made."""

from typing import Any

import msgspec
import pytest

from pipetrail.sinks.kinds import KINDS, kind
from pipetrail.sinks.settings import HttpSettings, Settings
from pipetrail.sinks.webhook import Signature

SECRET = "hunter2-hunter2-hunter2"
VALUES: dict[str, Any] = {
    "url": f"https://me:{SECRET}@example.com:9200/hook/{SECRET}?key={SECRET}",
    "proxy": f"http://me:{SECRET}@proxy:3128",
    "auth": {"username": "me", "password": SECRET, "token": SECRET},
    "headers": {"X-Api-Key": SECRET},
    "signature": {"secret": SECRET},
    "path": "/tmp/out",
}


def full(struct: type[Settings], word: str) -> Settings:
    names = {field.name for field in msgspec.structs.fields(struct)}
    given = {name: value for name, value in VALUES.items() if name in names}
    return msgspec.convert({"type": word, **given}, struct)


@pytest.mark.parametrize("word", KINDS)
def test_no_kind_of_settings_shows_a_secret(word: str) -> None:
    found = full(kind(word).Settings, word)

    assert SECRET not in repr(found)
    assert SECRET not in f"{found} {[found]}"
    assert f"type={word!r}" in repr(found)


@pytest.mark.parametrize("word", [word for word in KINDS if issubclass(kind(word).Settings, HttpSettings)])
def test_what_is_shown_says_which_receiver_it_is(word: str) -> None:
    found = repr(full(kind(word).Settings, word))

    assert "example.com:9200" in found
    assert "proxy:3128" in found
    assert "X-Api-Key" in found
    assert "username='me'" in found


def test_each_address_of_a_list_is_shown_without_its_secret() -> None:
    settings = msgspec.convert(
        {"type": "alertmanager", "url": [VALUES["url"], "http://b:9093"]}, kind("alertmanager").Settings
    )

    assert SECRET not in repr(settings)
    assert "http://b:9093" in repr(settings)


@pytest.mark.parametrize(
    "url", [f"me:{SECRET}@host/x", f"https://a@b:{SECRET}@host", f"x?{SECRET}", f"http://h\\{SECRET}"]
)
def test_an_address_that_is_none_shows_no_secret_either(url: str) -> None:
    assert SECRET not in repr(HttpSettings(type="webhook", url=url))


def test_a_signature_shows_no_secret() -> None:
    assert repr(Signature(secret=SECRET)) == "Signature(secret='***', header='X-Pipetrail-Signature')"
