"""Acknowledgements leave in the order of arrival; what comes faster than it is stored waits."""

import asyncio

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
    delivery = consumer.take()
    assert delivery
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


async def test_the_end_of_pahos_thread_is_told_and_no_silence(embedded_broker: Broker) -> None:
    settings = BrokerSettings(host="127.0.0.1", port=embedded_broker.port)
    async with PahoConsumer(settings, RECEIVE_MAX) as consumer, asyncio.timeout(20):
        while not consumer._client.is_connected():  # noqa: ASYNC110 - paho tells its own thread
            await asyncio.sleep(0.01)
        consumer._client.disconnect()
        with pytest.raises(ConsumerStopped):
            await _wait_for_ever(consumer)


async def _wait_for_ever(consumer: PahoConsumer) -> None:
    while True:
        await consumer.wait(0.05)
