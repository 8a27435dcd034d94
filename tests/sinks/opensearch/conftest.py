"""The servers that the tests of this folder share: starting one takes seconds."""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING, Any

import pytest

from cluster import build
from cluster.opensearch import SearchCluster
from cluster.opensearch_security import secure_cluster
from pipetrail.sinks import opensearch
from pipetrail.testing.deliveries import Forgetful
from tests.sinks.opensearch.nodes import Target, tools

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

PARTS = (
    ("server", build.OPENSEARCH),
    ("three", build.OPENSEARCH),
    ("secure", build.OPENSEARCH),
)
LAST_JAVA = 17  # later ones have no security manager, which Elasticsearch 7 insists on
BODY = "8mb"  # the most that a node takes: 100 MB by default

_numbers = itertools.count(1)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Fetch the servers that tests need, if this run may skip nothing: it takes longer than a test may."""
    if os.environ.get("PIPETRAIL_REQUIRE") != "all" or session.config.option.collectonly:
        return
    needed = {name for item in session.items for name in getattr(item, "fixturenames", ())}
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    for part in {part.folder: part for fixture, part in PARTS if fixture in needed}.values():
        try:
            build.build(terminal.write_line if terminal else print, part)
        except build.BuildError as error:
            pytest.exit(str(error), returncode=1)


def _built(part: build.Part) -> Any:
    found = build.built(part)
    if found is None:
        pytest.skip(f"{part.name} not built (cluster/build.py {part.folder} builds it)")
    return found


@pytest.fixture(scope="session", params=["opensearch", pytest.param("elasticsearch", marks=pytest.mark.release)])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SearchCluster]:
    """One node of each product."""
    old = request.param == "elasticsearch"
    built = _built(build.ELASTICSEARCH if old else build.OPENSEARCH) / "plain"
    if old and build.newest_jdk(LAST_JAVA) is None:
        pytest.skip(f"Elasticsearch 7 needs Java {LAST_JAVA}")
    folder = tmp_path_factory.mktemp(request.param) / "nodes"
    settings = {"http.max_content_length": BODY}
    with SearchCluster(folder, server=built, settings=settings, newest_java=LAST_JAVA if old else None) as started:
        yield started


@pytest.fixture
async def target(server: SearchCluster) -> AsyncIterator[Target]:
    """A node, with indices of the test's own."""
    found = Target(server, f"t{next(_numbers)}")
    yield found
    found.clear()


@pytest.fixture
async def sink(target: Target) -> AsyncIterator[opensearch.OpenSearchSink]:
    """A sink that was started, for that node."""
    made = opensearch.make("test", target.settings(), tools(Forgetful()))
    try:
        await made.start()
        yield made
    finally:
        await made.stop()


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SearchCluster]:
    """Three nodes; tests may kill one."""
    _built(build.OPENSEARCH)
    with SearchCluster(tmp_path_factory.mktemp("three") / "nodes", nodes=3, heap="256m") as started:
        yield started


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SearchCluster]:
    """A node with TLS and users."""
    _built(build.OPENSEARCH)
    with secure_cluster(tmp_path_factory.mktemp("secure")) as started:
        yield started
