# ruff: noqa: D102, S101 (these are tests; their names say what they check)
"""What every sink must hold, alone. Subclass :class:`SinkContract` in a test module and give it a receiver and a sink.

A complete example::

    class TestWebhook(SinkContract):
        faults = frozenset({"server", "limited", "auth", "poison", "silent", "slow", "refused", "intermittent"})

        @pytest.fixture
        async def receiver(self) -> AsyncIterator[Receiver]:
            async with ScriptedReceiver() as scripted:
                yield WebhookReceiver(scripted)          # maps each fault to what the receiver does

        @pytest.fixture
        def make(self, receiver: WebhookReceiver) -> Make:
            settings = WebhookSettings(type="webhook", url=receiver.url, timeout=0.3)
            return lambda tools: webhook.make("test", settings, tools)

The same class under the delivery engine is :class:`~pipetrail.testing.delivery_contract.DeliveryContract`, which
:class:`SinkContract` includes: a subclass gets both.
"""

from collections.abc import Sequence

import pytest

from pipetrail.model import Delivery, Permanent, Rejected, Sink, Temporary
from pipetrail.testing.deliveries import POISON, Forgetful, MemoryFeed, deliveries, delivery, raised
from pipetrail.testing.delivery_contract import DeliveryContract
from pipetrail.testing.sink_world import FAULTS, RETRY_AFTER, Fault, Make, Receiver, named, now, shows

__all__ = [
    "FAULTS",
    "POISON",
    "RETRY_AFTER",
    "Fault",
    "Forgetful",
    "Make",
    "MemoryFeed",
    "Receiver",
    "SinkContract",
    "deliveries",
    "delivery",
    "raised",
]

_WORDS = {"server": "server", "limited": "limited", "auth": "auth", "silent": "timeout", "refused": "refused"}


class SinkContract(DeliveryContract):
    """What a sink must hold alone, and with :class:`DeliveryContract` when delivery uses it."""

    async def test_a_batch_arrives_whole_and_in_order(self, sink: Sink, receiver: Receiver) -> None:
        sent = self.deliveries(20)
        await sink.start()
        answers = await sink.send(sent)

        assert list(answers) == [None] * 20
        assert receiver.received() == named(sent)

    async def test_one_batch_after_the_other(self, sink: Sink, receiver: Receiver) -> None:
        sent = self.deliveries(6)
        await sink.start()
        for part in (sent[:1], sent[1:4], sent[4:]):
            assert not any(await sink.send(part))

        assert receiver.received() == named(sent)

    async def test_what_comes_twice_has_the_same_id_and_revision(self, sink: Sink, receiver: Receiver) -> None:
        sent = self.deliveries(3)
        await sink.start()
        for _ in range(2):
            assert not any(await sink.send(sent))

        assert set(receiver.received()) == set(named(sent))

    @shows("server", "limited", "auth", "silent", "refused")
    async def test_a_failure_that_may_pass_is_temporary_and_says_what_it_is(
        self, sink: Sink, receiver: Receiver, fault: Fault
    ) -> None:
        await sink.start()
        await receiver.fault(fault)
        error = await failed(sink, self.deliveries(3))

        assert (error.failure, receiver.received()) == (_WORDS[fault], [])
        assert str(error)

    @shows("limited")
    async def test_how_long_the_receiver_asks_to_wait_is_passed_on(
        self, sink: Sink, receiver: Receiver, fault: Fault
    ) -> None:
        await sink.start()
        await receiver.fault(fault)

        assert (await failed(sink, self.deliveries(3))).after == RETRY_AFTER

    @shows("server", "limited", "auth", "silent", "refused")
    async def test_it_goes_on_when_the_failure_has_passed(self, sink: Sink, receiver: Receiver, fault: Fault) -> None:
        sent = self.deliveries(3)
        await sink.start()
        await receiver.fault(fault)
        await failed(sink, sent)
        await receiver.fault(None)

        assert not any(await sink.send(sent))
        assert receiver.received() == named(sent)

    @shows("slow")
    async def test_a_slow_receiver_is_waited_for(self, sink: Sink, receiver: Receiver, fault: Fault) -> None:
        sent = self.deliveries(3)
        await sink.start()
        await receiver.fault(fault)

        assert not any(await sink.send(sent))
        assert receiver.received() == named(sent)

    @shows("poison")
    async def test_bad_content_is_permanent(self, sink: Sink, receiver: Receiver, fault: Fault) -> None:
        sent = self.deliveries(1, poison=[1])
        await sink.start()
        await receiver.fault(fault)
        try:
            [answer] = await sink.send(sent)
        except Permanent as error:
            answer = Rejected(str(error))

        assert isinstance(answer, Rejected)
        assert answer.reason
        assert receiver.received() == []

    @shows("poison")
    async def test_bad_content_among_good_is_told_apart_or_nothing_is_settled(
        self, sink: Sink, receiver: Receiver, fault: Fault
    ) -> None:
        sent = self.deliveries(3, poison=[2])
        await sink.start()
        await receiver.fault(fault)
        try:
            answers = await sink.send(sent)
        except Permanent:
            return
        assert [type(answer) for answer in answers] == [type(None), Rejected, type(None)]
        assert receiver.received() == named([sent[0], sent[2]])

    async def test_a_probe_leaves_nothing_there(self, sink: Sink, receiver: Receiver) -> None:
        await sink.start()

        assert await sink.probe()
        assert receiver.received() == []

    @shows("server", "auth", "silent", "refused")
    async def test_a_probe_says_what_is_wrong(self, sink: Sink, receiver: Receiver, fault: Fault) -> None:
        await sink.start()
        await receiver.fault(fault)
        with pytest.raises((Temporary, Permanent)) as refused:
            await sink.probe()

        assert str(refused.value)

    async def test_a_tick_brings_nothing_new(self, sink: Sink, receiver: Receiver) -> None:
        sent = self.deliveries(3)
        await sink.start()
        await sink.tick(now())
        await sink.send(sent)
        await sink.tick(now())

        assert set(receiver.received()) == set(named(sent))

    async def test_stop_is_safe_without_start_and_twice(self, sink: Sink) -> None:
        await sink.stop()
        await sink.start()
        await sink.stop()
        await sink.stop()

    async def test_it_starts_again_after_a_stop(self, sink: Sink, receiver: Receiver) -> None:
        sent = self.deliveries(4)
        await sink.start()
        await sink.send(sent[:2])
        await sink.stop()
        await sink.start()
        await sink.send(sent[2:])

        assert receiver.received() == named(sent)


async def failed(sink: Sink, batch: Sequence[Delivery]) -> Temporary:
    """How sending fails as a whole."""
    with pytest.raises(Temporary) as error:
        await sink.send(batch)
    return error.value
