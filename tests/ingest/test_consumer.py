"""Acknowledgements leave in the order of arrival; what comes faster than it is stored waits."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt import client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from ingest.config import BrokerSettings
from ingest.consumer import AckOrder, ConsumerStopped, PahoConsumer
from ingest.delivery import Delivery
from simulator.embedded.broker import Broker
from tests.ingest.process import connected

RECEIVE_MAX = 2


@given(st.permutations(range(8)))
def test_acknowledgements_leave_in_the_order_of_arrival(finished: list[int]) -> None:
    order = AckOrder()
    for number in range(8):
        order.arrived(number)
    released: list[int] = []
    for number in finished:
        now = order.done(number)
        released += now
        assert released == list(range(len(released)))
        assert len(order) == 8 - len(released)
    assert released == list(range(8))


def test_nothing_leaves_before_what_came_first() -> None:
    order = AckOrder()
    for number in range(3):
        order.arrived(number)
    assert order.done(2) == []
    assert order.done(1) == []
    assert order.done(0) == [0, 1, 2]


@pytest.fixture
async def consumer() -> PahoConsumer:
    """Not connected: the test is the broker."""
    return PahoConsumer(BrokerSettings(host="127.0.0.1", port=1), RECEIVE_MAX)


def _arrives(consumer: PahoConsumer, packet_id: int) -> None:
    """Do what paho's thread does with a message at QoS 1."""
    message = mqtt.MQTTMessage(packet_id, b"t")
    message.qos = 1
    consumer._on_message(consumer._client, None, message)


def _take(consumer: PahoConsumer) -> Delivery:
    (delivery,) = consumer.take(1)
    return delivery


def _pubacks(consumer: PahoConsumer) -> list[int]:
    return [packet["mid"] for packet in consumer._client._out_packet]


async def test_pahos_thread_waits_when_twice_the_broker_s_share_is_in_hand(
    consumer: PahoConsumer,
) -> None:
    for packet_id in range(2 * RECEIVE_MAX):
        await asyncio.to_thread(_arrives, consumer, packet_id)
    assert consumer.is_full
    one_more = asyncio.create_task(asyncio.to_thread(_arrives, consumer, 99))
    await asyncio.sleep(0.1)
    assert not one_more.done()
    consumer.acknowledge([_take(consumer)])
    await one_more


async def test_a_delivery_of_a_broken_connection_is_not_acknowledged_on_the_next(
    consumer: PahoConsumer,
) -> None:
    """Its packet id may be another message's by then, which nobody has stored."""
    _arrives(consumer, 7)
    consumer.acknowledge([_take(consumer)])
    assert _pubacks(consumer) == [7]
    _arrives(consumer, 8)
    lost = ReasonCode(PacketTypes.DISCONNECT, "Unspecified error")
    consumer._on_disconnect(consumer._client, None, mqtt.DisconnectFlags(False), lost, None)
    consumer.acknowledge([_take(consumer)])
    assert _pubacks(consumer) == [7]


async def test_what_was_not_acknowledged_comes_again_and_what_was_does_not(broker: Broker) -> None:
    """The broker lets go of a message when it is committed, and not when it is received."""
    async with listening(broker) as consumer:
        with connected(broker.port) as gateway:
            gateway.send(b"first")
            assert (await _next(consumer)).payload == b"first"
    async with listening(broker) as consumer:
        again = await _next(consumer)
        assert again.payload == b"first"
        consumer.acknowledge([again])
    async with listening(broker) as consumer:
        with connected(broker.port) as gateway:
            gateway.send(b"second")
            assert (await _next(consumer)).payload == b"second"


async def test_the_end_of_pahos_thread_is_told_and_no_silence(embedded_broker: Broker) -> None:
    async with listening(embedded_broker) as consumer, asyncio.timeout(20):
        consumer._client.disconnect()
        with pytest.raises(ConsumerStopped):
            await _wait_for_ever(consumer)


@asynccontextmanager
async def listening(broker: Broker) -> AsyncIterator[PahoConsumer]:
    """A consumer that has subscribed; always of the same session."""
    settings = BrokerSettings(host="127.0.0.1", port=broker.port)
    consumer = PahoConsumer(settings, RECEIVE_MAX)
    subscribed, loop = asyncio.Event(), asyncio.get_running_loop()

    def on_subscribe(*_: object) -> None:
        loop.call_soon_threadsafe(subscribed.set)

    consumer._client.on_subscribe = on_subscribe
    async with consumer:
        await subscribed.wait()
        yield consumer


async def _next(consumer: PahoConsumer) -> Delivery:
    while not await consumer.wait(1):
        pass
    return _take(consumer)


async def _wait_for_ever(consumer: PahoConsumer) -> None:
    while True:
        await consumer.wait(0.05)
