"""TLS and users, with the security plug-in of OpenSearch: whom we trust, and what a user may do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from cluster.opensearch_security import ADMIN, WRITER, make_certificates
from pipetrail.model import Temporary
from pipetrail.sinks import opensearch
from pipetrail.sinks.settings import Auth, Tls
from pipetrail.testing.deliveries import Forgetful
from tests.sinks.opensearch.nodes import Target, delivery, tools

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from cluster.opensearch import SearchCluster
    from pipetrail.sinks.opensearch import OpenSearchSink

    Make = Callable[..., Awaitable[OpenSearchSink]]

NOBODY = ("admin", "a-guess")


@pytest.fixture
def target(secure: SearchCluster) -> Target:
    return Target(secure, "pipetrail")


@pytest.fixture
async def make(target: Target) -> AsyncIterator[Callable[..., OpenSearchSink]]:
    made: list[OpenSearchSink] = []

    def sink(login: tuple[str, str], **changes: Any) -> OpenSearchSink:
        given = {"auth": Auth(username=login[0], password=login[1]), "tls": Tls(ca=str(target.cluster.ca))} | changes
        made.append(opensearch.make("test", target.settings(**given), tools(Forgetful())))
        return made[-1]

    yield sink
    for each in made:
        await each.stop()
    target.clear()


async def test_an_admin_writes_templates_and_documents(make: Callable[..., OpenSearchSink], target: Target) -> None:
    sink = make(ADMIN)
    await sink.start()

    assert await sink.send([delivery(1), delivery(2)]) == [None, None]
    assert "takes documents" in await sink.probe()
    assert len(target.documents()) == 2


async def test_a_user_who_may_only_write_writes_documents(make: Callable[..., OpenSearchSink], target: Target) -> None:
    sink = make(WRITER, template=False)
    await sink.start()

    assert await sink.send([delivery(1), delivery(2)]) == [None, None]
    assert "takes documents" in await sink.probe()
    assert len(target.documents()) == 2


async def test_a_user_who_may_only_write_is_told_what_to_do_about_templates(
    make: Callable[..., OpenSearchSink],
) -> None:
    sink = make(WRITER)
    with pytest.raises(Temporary, match=r"no permissions for .*template: false") as refused:
        await sink.start()

    assert refused.value.failure == "auth"


async def test_a_user_without_the_right_to_an_index_loses_nothing(make: Callable[..., OpenSearchSink]) -> None:
    sink = make(WRITER, template=False, index="elsewhere")
    await sink.start()
    with pytest.raises(Temporary, match="security_exception") as refused:
        await sink.send([delivery(1), delivery(2)])

    assert refused.value.failure == "auth"


async def test_a_wrong_password_is_for_a_person_to_set_right(make: Callable[..., OpenSearchSink]) -> None:
    with pytest.raises(Temporary, match="401") as refused:
        await make(NOBODY).start()

    assert refused.value.failure == "auth"
    assert NOBODY[1] not in str(refused.value)


async def test_a_wrong_password_that_comes_later_loses_nothing(make: Callable[..., OpenSearchSink]) -> None:
    sink = make(NOBODY, template=False)
    await sink.start()
    with pytest.raises(Temporary, match="401") as refused:
        await sink.send([delivery(1)])

    assert refused.value.failure == "auth"


async def test_a_server_that_nobody_vouches_for_gets_no_document(make: Callable[..., OpenSearchSink]) -> None:
    sink = make(ADMIN, template=False, tls=Tls())
    await sink.start()
    with pytest.raises(Temporary, match="certificate is not trusted") as refused:
        await sink.send([delivery(1)])

    assert refused.value.failure == "tls"


async def test_a_server_of_another_authority_gets_no_document(
    make: Callable[..., OpenSearchSink], tmp_path: Path
) -> None:
    sink = make(ADMIN, template=False, tls=Tls(ca=str(make_certificates(tmp_path).ca)))
    await sink.start()
    with pytest.raises(Temporary, match="certificate is not trusted") as refused:
        await sink.send([delivery(1)])

    assert refused.value.failure == "tls"
