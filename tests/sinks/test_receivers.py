"""The scripted receiver does what it is told."""

import io
import ssl

import aiohttp
import pytest
import trustme

from pipetrail.testing import receivers
from pipetrail.testing.receivers import Reply, ScriptedReceiver, json_reply


async def test_it_records_what_it_is_asked_and_answers_by_script() -> None:
    async with ScriptedReceiver() as receiver, aiohttp.ClientSession() as client:
        receiver.then(receivers.LIMITED, receivers.REDIRECT, json_reply({"a": 1}, X_Name="b"))
        statuses = []
        for _ in range(4):
            async with client.post(f"{receiver.url}/in?x=1", data=b"body", allow_redirects=False) as answer:
                statuses.append(answer.status)

    assert statuses == [429, 302, 200, 200]
    first = receiver.requests[0]
    assert (first.method, first.path, first.query, first.body) == ("POST", "/in", "x=1", b"body")
    assert "user-agent" in first.headers


@pytest.mark.parametrize("reply", [receivers.CLOSED, receivers.CUT, receivers.SILENT, Reply(delay=5.0)])
async def test_it_fails_in_every_manner(reply: Reply) -> None:
    timeout = aiohttp.ClientTimeout(0.2)
    async with ScriptedReceiver(reply) as receiver, aiohttp.ClientSession(timeout=timeout) as client:
        with pytest.raises((aiohttp.ClientError, TimeoutError)):
            async with client.get(receiver.url) as answer:
                await answer.read()

    assert len(receiver.requests) >= 1


async def test_it_refuses_and_comes_back_at_the_same_address() -> None:
    async with ScriptedReceiver() as receiver, aiohttp.ClientSession() as client:
        before = receiver.url
        await receiver.refuse()
        with pytest.raises(aiohttp.ClientConnectorError):
            await client.get(before)
        await receiver.listen()
        async with client.get(receiver.url) as answer:
            assert (answer.status, receiver.url) == (200, before)


async def test_it_takes_large_bodies() -> None:
    async with (
        ScriptedReceiver() as receiver,
        aiohttp.ClientSession() as client,
        client.post(receiver.url, data=io.BytesIO(b"x" * (8 << 20))) as answer,
    ):
        assert answer.status == 200

    assert len(receiver.bodies[0]) == 8 << 20


async def test_it_speaks_tls() -> None:
    authority = trustme.CA()
    serving, trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("localhost").configure_cert(serving)
    authority.configure_trust(trusting)
    async with ScriptedReceiver(tls=serving) as receiver, aiohttp.ClientSession() as client:
        async with client.get(receiver.url, ssl=trusting) as answer:
            assert answer.status == 200
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await client.get(receiver.url)
