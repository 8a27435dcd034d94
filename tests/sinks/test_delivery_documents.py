"""The document of a delivery: what the sinks send unless their receiver has a form of its own."""

import msgspec

from pipetrail.documents.deliveries import delivery_json
from pipetrail.model import Standing
from pipetrail.testing.deliveries import delivery


def test_each_document_has_the_run_of_its_own_delivery_among_thousands() -> None:
    """The end of a document is remembered for each run; what is remembered is bounded."""
    found = delivery(1)
    for number in range(12_000):
        run = Standing(cluster="c", system="job", run=f"run-{number}", name="", state="Running", at=0)
        document = msgspec.json.decode(delivery_json(msgspec.structs.replace(found, run=run)))
        assert document["run"]["id"] == run.run


def test_the_run_of_a_document_is_how_it_stands_now_and_not_how_it_stood() -> None:
    found = delivery(1)
    first = Standing(cluster="c", system="job", run="r", name="", state="Running", at=0)
    then = msgspec.structs.replace(first, state="Failed")

    told = [msgspec.json.decode(delivery_json(msgspec.structs.replace(found, run=run))) for run in (first, then, first)]

    assert [document["run"]["state"] for document in told] == ["Running", "Failed", "Running"]


def test_a_delivery_without_a_run_says_so() -> None:
    assert msgspec.json.decode(delivery_json(msgspec.structs.replace(delivery(1), run=None)))["run"] is None
