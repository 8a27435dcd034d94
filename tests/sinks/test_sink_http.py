"""HTTP to receivers: what an answer means for delivery, and that no secret is told."""

import datetime as dt
import logging
import re
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from pipetrail import __version__
from pipetrail.model import Permanent, Temporary
from pipetrail.model.times import parse_time
from pipetrail.sinks.http import Http, below, clean, seconds, shown
from pipetrail.sinks.settings import Auth, HttpSettings, Tls
from pipetrail.testing.receivers import CLOSED, CUT, HTML, HUGE, Answer, Asked, Reply, ScriptedReceiver

NOW = parse_time("2026-11-24T03:12:00Z")


def settings(url: str, **given: Any) -> HttpSettings:
    return HttpSettings(type="test", url=url, **{"timeout": 5.0} | given)


@pytest.fixture
async def receiver() -> AsyncIterator[ScriptedReceiver]:
    async with ScriptedReceiver() as running:
        yield running


class Opened:
    """A started :class:`Http`."""

    def __init__(self, url: str, **given: Any) -> None:
        self.http = Http(settings(url, **given), lambda: NOW)

    async def __aenter__(self) -> Http:
        await self.http.start()
        return self.http

    async def __aexit__(self, *_: object) -> None:
        await self.http.stop()


async def failed(http: Http, target: str = "") -> Temporary:
    with pytest.raises(Temporary) as error:
        await http.request("POST", target, b"{}")
    return error.value


async def test_a_request_says_who_we_are_and_carries_the_headers(receiver: ScriptedReceiver) -> None:
    async with Opened(f"{receiver.url}/in", headers={"X-Team": "vision"}, auth=Auth(token="t0ken")) as http:
        reply = await http.request("POST", "", b"body", {"Content-Type": "text/plain"})

    [asked] = receiver.requests
    assert (reply.status, asked.method, asked.path, asked.body) == (200, "POST", "/in", b"body")
    assert asked.headers["user-agent"] == f"pipetrail/{__version__}"
    assert asked.headers["authorization"] == "Bearer t0ken"
    assert (asked.headers["x-team"], asked.headers["content-type"]) == ("vision", "text/plain")


async def test_a_name_and_a_password_are_sent_as_basic_authentication_in_utf8(receiver: ScriptedReceiver) -> None:
    async with Opened(receiver.url, auth=Auth(username="ada", password="schlüssel")) as http:
        await http.request("POST", "", b"")

    assert receiver.requests[0].headers["authorization"] == "Basic YWRhOnNjaGzDvHNzZWw="


async def test_a_path_goes_below_the_address(receiver: ScriptedReceiver) -> None:
    async with Opened(f"{receiver.url}/base/") as http:
        await http.request("POST", "/_bulk?a=b", b"")

    assert (receiver.requests[0].path, receiver.requests[0].query) == ("/base/_bulk", "a=b")


def test_a_query_of_the_address_stays() -> None:
    assert below("http://h/p?key=1", "/q") == "http://h/p/q?key=1"
    assert below("http://h/p?key=1", "/q?r=2") == "http://h/p/q?r=2&key=1"


@pytest.mark.parametrize(
    ("status", "failure"),
    [
        (401, "auth"),
        (403, "auth"),
        (404, "client"),
        (405, "client"),
        (408, "timeout"),
        (415, "client"),
        (425, "server"),
        (429, "limited"),
        (500, "server"),
        (503, "server"),
    ],
)
async def test_what_may_pass_or_a_person_must_set_right_is_temporary(
    receiver: ScriptedReceiver, status: int, failure: str
) -> None:
    receiver.answer = Reply(status=status, body=b"because\x1b[31m\nof this")
    async with Opened(f"{receiver.url}/in") as http:
        error = await failed(http)

    assert error.failure == failure
    assert str(error) == f"{receiver.url}/in: HTTP {status}: because [31m of this"


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_what_the_receiver_says_of_the_content_is_permanent(receiver: ScriptedReceiver, status: int) -> None:
    receiver.answer = Reply(status=status, body=b"no such field")
    async with Opened(receiver.url) as http:
        with pytest.raises(Permanent, match=f"HTTP {status}: no such field"):
            await http.request("POST", "", b"{}")


async def test_a_redirect_is_not_followed_and_its_target_is_named(receiver: ScriptedReceiver) -> None:
    receiver.answer = Reply(status=307, headers={"Location": "/new/place?secret=hidden-word"})
    async with Opened(f"{receiver.url}/old") as http:
        error = await failed(http)

    assert error.failure == "client"
    assert f"it redirects to {receiver.url}/new/place?…: if that is right, write it as url" in str(error)
    assert "hidden-word" not in str(error)
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("target", ["", "http://[", "\x01"])
async def test_a_redirect_to_nowhere_is_an_error_like_any_other(receiver: ScriptedReceiver, target: str) -> None:
    receiver.answer = Reply(status=302, headers={"Location": target} if target.isprintable() else {})
    async with Opened(receiver.url) as http:
        assert (await failed(http)).failure == "client"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7", 7.0),
        ("0", 0.0),
        (" 1.5 ", 1.5),
        (format_datetime(dt.datetime(2026, 11, 24, 3, 13, tzinfo=dt.UTC), usegmt=True), 60.0),
        (format_datetime(dt.datetime(2020, 1, 1, tzinfo=dt.UTC), usegmt=True), 0.0),
        ("Tue, 24 Nov 2026 03:13:00 -0000", 60.0),
        ("-7", None),
        ("soon", None),
        ("", None),
        ("nan", None),
        ("1e9", None),
        ("9" * 5000, None),
    ],
)
def test_a_retry_after_is_a_number_or_a_date(text: str, expected: float | None) -> None:
    assert seconds(text, NOW) == expected


@given(st.text(max_size=80))
def test_no_retry_after_breaks_anything(text: str) -> None:
    found = seconds(text, NOW)

    assert found is None or found >= 0


async def test_what_the_receiver_asks_to_wait_is_passed_on(receiver: ScriptedReceiver) -> None:
    receiver.answer = Reply(status=429, headers={"Retry-After": "7"})
    async with Opened(receiver.url) as http:
        assert (await failed(http)).after == 7.0


async def test_nobody_there_is_refused(receiver: ScriptedReceiver) -> None:
    async with Opened(receiver.url) as http:
        await receiver.refuse()
        error = await failed(http)

    assert error.failure == "refused"
    assert "Connect call failed" in str(error) or "can't connect" in str(error)


async def test_a_line_that_is_cut_before_the_answer_is_refused(receiver: ScriptedReceiver) -> None:
    receiver.answer = CLOSED
    async with Opened(receiver.url) as http:
        error = await failed(http)

    assert error.failure == "refused"


async def test_half_an_answer_makes_no_sense(receiver: ScriptedReceiver) -> None:
    receiver.answer = CUT
    async with Opened(receiver.url) as http:
        error = await failed(http)

    assert (error.failure, "ends too early" in str(error)) == ("answer", True)


async def test_an_answer_that_does_not_come_is_a_timeout(receiver: ScriptedReceiver) -> None:
    receiver.answer = Reply(manner="silent")
    async with Opened(receiver.url, timeout=0.2) as http:
        error = await failed(http)

    assert (error.failure, "no answer within 0.2 s" in str(error)) == ("timeout", True)


async def test_a_huge_answer_is_read_up_to_the_bound(receiver: ScriptedReceiver) -> None:
    receiver.answer = HUGE
    async with Opened(receiver.url) as http:
        reply = await http.request("POST", "", b"{}")

    assert (len(reply.body), reply.whole) == (1 << 20, False)


async def test_a_compressed_answer_is_not_unpacked(receiver: ScriptedReceiver) -> None:
    receiver.answer = Reply(headers={"Content-Encoding": "gzip"}, body=b"not even gzip")
    async with Opened(receiver.url) as http:
        assert (await http.request("POST", "", b"{}")).body == b"not even gzip"

    assert receiver.requests[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (HTML, "a web page instead of an acknowledgement"),
        (Reply(headers={"Content-Type": "application/json"}, body=b'{"a": fal'), "should be JSON and is not"),
        (Reply(headers={"Content-Type": "application/json"}, body=b'{"ok": false, "why": "x"}'), "an error: "),
        (Reply(headers={"Content-Type": "application/problem+json"}, body=b'{"error": "x"}'), "an error: "),
    ],
)
async def test_a_200_with_something_else_in_it_is_no_acknowledgement(
    receiver: ScriptedReceiver, reply: Reply, told: str
) -> None:
    receiver.answer = reply
    async with Opened(receiver.url) as http:
        answer = await http.request("POST", "", b"{}")
        with pytest.raises(Temporary, match=told) as error:
            http.acknowledged(answer)

    assert error.value.failure == "answer"


@pytest.mark.parametrize(
    "reply",
    [
        Reply(status=204),
        Reply(body=b"ok", headers={"Content-Type": "text/html"}),
        Reply(headers={"Content-Type": "application/json"}),
        Reply(headers={"Content-Type": "application/json"}, body=b'{"ok": true, "error": null, "errors": []}'),
        Reply(headers={"Content-Type": "application/json"}, body=b"[1]"),
        HUGE,
    ],
)
async def test_usual_acknowledgements_are_taken_as_such(receiver: ScriptedReceiver, reply: Reply) -> None:
    receiver.answer = reply
    async with Opened(receiver.url) as http:
        http.acknowledged(await http.request("POST", "", b"{}"))


# --- TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def served(cert: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    cert.configure_cert(context)
    return context


async def test_the_authority_of_the_settings_is_trusted(authority: trustme.CA, tmp_path: Path) -> None:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    tls = served(authority.issue_cert("localhost"))
    trust = Tls(ca=str(tmp_path / "ca.pem"))
    async with ScriptedReceiver(tls=tls) as receiver, Opened(receiver.url, tls=trust) as http:
        assert (await http.request("POST", "", b"")).status == 200


@pytest.mark.parametrize("fault", ["unknown", "expired", "another name"])
async def test_a_certificate_that_is_not_to_be_trusted_is_a_tls_failure(
    authority: trustme.CA, tmp_path: Path, fault: str
) -> None:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    past = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    cert = {
        "unknown": lambda: trustme.CA().issue_cert("localhost"),
        "expired": lambda: authority.issue_cert("localhost", not_after=past),
        "another name": lambda: authority.issue_cert("other.example"),
    }[fault]()
    async with ScriptedReceiver(tls=served(cert)) as receiver:
        async with Opened(receiver.url, tls=Tls(ca=str(tmp_path / "ca.pem"))) as http:
            error = await failed(http)
        assert receiver.requests == []

    assert error.failure == "tls"
    words = {"unknown": "self-signed|unable to get", "expired": "expired", "another name": "localhost"}
    assert re.search(f"its certificate is not trusted: .*({words[fault]})", str(error))


async def test_our_own_certificate_is_shown_and_a_renewed_one_is_used_at_once(tmp_path: Path) -> None:
    authority, clients = trustme.CA(), trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = served(authority.issue_cert("localhost"))
    clients.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED

    def write(cert: trustme.LeafCert) -> None:
        cert.private_key_pem.write_to_path(tmp_path / "key.pem")
        cert.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")

    write(trustme.CA().issue_cert("old"))
    tls = Tls(ca=str(tmp_path / "ca.pem"), cert=str(tmp_path / "cert.pem"), key=str(tmp_path / "key.pem"))
    async with ScriptedReceiver(tls=context) as receiver, Opened(receiver.url, tls=tls) as http:
        assert (await failed(http)).failure in ("tls", "refused")
        write(clients.issue_cert("new"))

        assert (await http.request("POST", "", b"")).status == 200


async def test_any_receiver_is_trusted_when_told_so() -> None:
    tls = served(trustme.CA().issue_cert("other.example"))
    async with ScriptedReceiver(tls=tls) as receiver, Opened(receiver.url, tls=Tls(insecure=True)) as http:
        assert (await http.request("POST", "", b"")).status == 200


@pytest.mark.parametrize(("content", "told"), [(None, "tls.ca: can't read .*ca.pem: No such"), (b"x", "no usable")])
async def test_a_file_of_certificates_that_is_none_is_named(tmp_path: Path, content: bytes | None, told: str) -> None:
    if content is not None:
        (tmp_path / "ca.pem").write_bytes(content)
    http = Http(settings("https://localhost:1", tls=Tls(ca=str(tmp_path / "ca.pem"))), lambda: NOW)
    with pytest.raises(Temporary, match=told) as error:
        await http.start()

    assert error.value.failure == "tls"


async def test_a_key_with_a_password_is_refused_instead_of_asked_for(tmp_path: Path) -> None:
    (tmp_path / "pem").write_text("-----BEGIN ENCRYPTED PRIVATE KEY-----\nx\n-----END ENCRYPTED PRIVATE KEY-----\n")
    name = str(tmp_path / "pem")
    http = Http(settings("https://localhost:1", tls=Tls(cert=name, key=name)), lambda: NOW)
    with pytest.raises(Temporary, match="has a password"):
        await http.start()


# --- Proxy


async def test_a_proxy_is_used_and_its_refusal_is_told_without_its_password() -> None:
    async with ScriptedReceiver() as proxy:
        address = proxy.url.replace("http://", "http://ada:pr0xypass@")
        async with Opened("http://receiver.invalid/in", proxy=address) as http:
            assert (await http.request("POST", "", b"")).status == 200
            proxy.answer = Reply(status=407, body=b"who?")
            error = await failed(http)

    assert proxy.requests[0].headers["proxy-authorization"] == "Basic YWRhOnByMHh5cGFzcw=="
    assert (error.failure, "pr0xypass" in str(error)) == ("auth", False)


async def test_the_proxies_of_the_environment_are_not_used(
    receiver: ScriptedReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    async with Opened(receiver.url) as http:
        assert (await http.request("POST", "", b"")).status == 200


# --- Secrets

SECRETS = ("t0kenOfOurs", "headerOfOurs", "queryOfOurs", "T0123ABCD9876pathOfOurs")


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.DEBUG):
        yield caplog


@pytest.mark.parametrize("manner", ["echo", "close", "html", "redirect"])
async def test_no_error_log_or_repr_tells_a_secret_even_when_the_receiver_does(
    receiver: ScriptedReceiver, logged: pytest.LogCaptureFixture, manner: str
) -> None:
    def echo(asked: Asked) -> Reply:
        return Reply(status=401, body=f"{asked.path} {asked.query} {dict(asked.headers)}".encode())

    where = {"Location": f"/{SECRETS[3]}?key={SECRETS[2]}&{SECRETS[0]}"}
    redirect = Reply(status=302, headers=where)
    answers: dict[str, Answer] = {"echo": echo, "close": CLOSED, "html": HTML, "redirect": redirect}
    receiver.answer = answers[manner]
    url = f"{receiver.url}/hooks/{SECRETS[3]}?key={SECRETS[2]}"
    async with Opened(url, headers={"X-Api-Key": SECRETS[1]}, auth=Auth(token=SECRETS[0])) as http:
        told = repr(http)
        try:
            http.acknowledged(await http.request("POST", "", b"{}"))
        except Temporary as error:
            told += f"{error} {error!r} {error.__cause__} {error.__context__ if not error.__suppress_context__ else ''}"

    assert f"{receiver.url}/hooks/…?…" in told
    for secret in SECRETS:
        assert secret not in told
        assert secret not in logged.text


async def test_our_credentials_leave_in_the_authorization_header_alone(receiver: ScriptedReceiver) -> None:
    async with Opened(receiver.url, auth=Auth(username="ada", password="pa55word-of-ours")) as http:
        await http.request("POST", "/x", b"{}")

    [asked] = receiver.requests
    rest = {name: value for name, value in asked.headers.items() if name != "authorization"}
    assert "pa55word" not in f"{asked.path} {asked.query} {rest} {asked.body!r}"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"url": "ftp://h"}, "url: an address"),
        ({"url": "receiver:9093"}, "url: an address"),
        ({"url": "http://h:99999"}, "url: an address"),
        ({"url": "http://ada:secret-word@h"}, "url: write the user and the password under auth"),
        ({"url": "http://h\n"}, "url: an address"),
        ({"proxy": "proxy:3128"}, "proxy: an address"),
        ({"timeout": 0.0}, "timeout: "),
        ({"auth": Auth(username="ada")}, "auth: a username and a password"),
        ({"auth": Auth(token="secret-word", password="x")}, "auth: a token, or"),
        ({"auth": Auth(token="secret-word\n")}, "auth.token: "),
        ({"auth": Auth(username="a:b", password="secret-word")}, "auth: a colon"),
        ({"headers": {"X\n": "v"}}, "headers: "),
        ({"headers": {"X": "secret-word\r\nY: z"}}, "headers.X: a line break"),
        ({"headers": {"Content-Length": "0"}}, "headers.Content-Length: "),
        ({"tls": Tls(cert="c")}, "tls: cert and key"),
    ],
)
def test_wrong_settings_are_named_without_their_secrets(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match="^" + told) as error:
        Http(settings(**{"url": "http://h"} | given), lambda: NOW)

    assert "secret-word" not in str(error.value)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("https://h.example/in", "https://h.example/in"),
        ("https://h.example:8443/in?key=abc", "https://h.example:8443/in?…"),
        ("http://[::1]:9093", "http://[::1]:9093/"),
        (
            "https://hooks.example/services/T012AB/B012/XXyy01234567890123456789",
            "https://hooks.example/services/T012AB/B012/…",
        ),
        ("http://ada:word@h/", "http://h/"),
        ("http://[", "an address that can't be read"),
    ],
)
def test_an_address_is_shown_without_what_may_be_secret(address: str, expected: str) -> None:
    assert shown(address) == expected


@given(st.text(max_size=2000))
def test_a_foreign_text_becomes_one_short_printable_line(text: str) -> None:
    found = clean(text)

    assert len(found) <= 200
    assert found.isprintable()


async def test_stop_is_safe_without_start_and_twice() -> None:
    http = Http(settings("http://h"), lambda: time.time_ns() // 1000)
    await http.stop()
    await http.start()
    await http.stop()
    await http.stop()


async def test_no_half_of_a_long_secret_is_left_where_an_answer_is_cut() -> None:
    token = "".join(f"k{number:04}" for number in range(300))
    said = f"Authorization: {token}\nX-Authorization: {token}\nX-Forwarded: {token}\n".encode()
    async with (
        ScriptedReceiver(Reply(status=401, body=said)) as receiver,
        Opened(receiver.url, auth=Auth(token=token)) as http,
    ):
        error = await failed(http)

    assert str(error).endswith("HTTP 401: Authorization: … X-Authorization: … X-Forwarded: …")
