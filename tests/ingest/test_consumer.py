"""Acknowledgements leave in the order of arrival; what comes faster than it is stored waits."""

import asyncio
import queue
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from structlog.testing import capture_logs

from devices import wire
from ingest import consumer as consumer_module
from ingest.broker_link import End
from ingest.config import BrokerSettings
from ingest.consumer import ConsumerStopped, MqttConsumer
from ingest.delivery import Answer
from ingest.dialing import introduction
from ingest.mqtt5 import AckOrder
from ingest.rival import Rival
from simulator.embedded.broker import Broker
from tests.ingest.consuming import WAIT_S, Watched, consuming, next_one
from tests.ingest.county import GATEWAY
from tests.ingest.process import connected

RECEIVE_MAX = 2


@given(st.permutations(range(8)))
def test_acknowledgements_leave_in_the_order_of_arrival(finished: list[int]) -> None:
    order = AckOrder()
    assert order.arrived([10 + number for number in range(8)]) == 0
    released: list[int] = []
    for number in finished:
        now = order.done([number])
        released += now
        assert released == list(range(10, 10 + len(released)))
        assert len(order) == 8 - len(released)
    assert released == list(range(10, 18))


def test_nothing_leaves_before_what_came_first() -> None:
    order = AckOrder()
    order.arrived([7, 0, 9])  # the second came at QoS 0
    assert order.done([2]) == []
    assert order.done([1]) == []
    assert order.done([0]) == [7, 9]


@given(st.lists(st.integers(1, 5), max_size=8))
def test_a_delivery_of_a_broken_connection_is_not_acknowledged_on_the_next(
    sizes: list[int],
) -> None:
    """Its packet id may be another message's by then, which nobody has stored."""
    order = AckOrder()
    for number, size in enumerate(sizes):
        order.lose()
        order.arrived([100 * number + place + 1 for place in range(size)])
    released = order.done(list(range(sum(sizes))))
    assert len(order) == 0
    last = [100 * (len(sizes) - 1) + place + 1 for place in range(sizes[-1])] if sizes else []
    assert released == last


def test_a_session_outlives_its_worker_for_a_day_and_one_of_a_group_for_a_minute() -> None:
    """A share of a group that waits for a worker which is gone for good is nobody's."""
    alone = BrokerSettings(host="h")
    assert introduction(alone, 7).session_expiry_s == 24 * 3600
    shared = BrokerSettings(host="h", shared_group="workers")
    assert introduction(shared, 7).session_expiry_s == 60
    assert introduction(shared, 7).receive_max == 7


def test_the_password_is_read_at_each_connect(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("old\n")
    settings = BrokerSettings(host="h", username="u", password_file=secret)
    assert introduction(settings, 1).password == b"old"
    secret.write_text("new")
    assert (introduction(settings, 1).username, introduction(settings, 1).password) == ("u", b"new")


def _settings(broker: Broker) -> BrokerSettings:
    return BrokerSettings(host="127.0.0.1", port=broker.port)


@asynccontextmanager
async def listening(broker: Broker) -> AsyncIterator[MqttConsumer]:
    """A consumer that has subscribed; always of the same session."""
    async with consuming(_settings(broker), RECEIVE_MAX) as consumer:
        yield consumer


async def test_what_was_not_acknowledged_comes_again_and_what_was_does_not(broker: Broker) -> None:
    """The broker lets go of a message when it is committed, and not when it is received."""
    async with listening(broker) as consumer:
        with connected(broker.port) as gateway:
            gateway.send(b"first")
            assert (await next_one(consumer)).payload == b"first"
    async with listening(broker) as consumer:
        again = await next_one(consumer)
        assert again.payload == b"first"
        consumer.acknowledge([again])
    async with listening(broker) as consumer:
        with connected(broker.port) as gateway:
            gateway.send(b"second")
            assert (await next_one(consumer)).payload == b"second"


async def test_a_delivery_carries_what_paho_has_sent(broker: Broker) -> None:
    async with listening(broker) as consumer:
        with connected(broker.port) as gateway:
            for payload in (b"", b"x", bytes(range(256)) * 700):
                correlation = gateway.send(payload)
                delivery = await next_one(consumer)
                consumer.acknowledge([delivery])
                assert delivery.payload == payload
                assert delivery.topic == wire.topic(GATEWAY, wire.TopicKind.READINGS)
                assert delivery.correlation == correlation


async def test_more_than_the_broker_may_send_at_once_comes_in_order(broker: Broker) -> None:
    count = 300
    sent = [b"%d" % number for number in range(count)]
    async with listening(broker) as consumer:
        with connected(broker.port) as gateway:
            for payload in sent:
                gateway.send(payload)
            heard = []
            for _ in range(count):
                delivery = await next_one(consumer)
                heard.append(delivery.payload)
                consumer.acknowledge([delivery])
    assert heard == sent


async def test_answers_reach_paho_with_their_correlation(broker: Broker) -> None:
    topic = wire.topic(GATEWAY, wire.TopicKind.RECEIPTS)
    answers = [
        Answer(topic, b"%d" % n + b"x" * n, bytes([n % 256]) * (n % 200)) for n in range(300)
    ]
    answers.append(Answer(topic, b"plain", None))
    async with listening(broker) as consumer:
        with _subscriber(broker.port, topic) as heard:
            consumer.publish(answers)
            got = [await asyncio.to_thread(heard.get, timeout=WAIT_S) for _ in answers]

    # Those beyond what may be in flight travel at QoS 0, so they may come in another order.
    def key(answer: Answer) -> bytes:
        return answer.payload

    assert sorted(got, key=key) == sorted(answers, key=key)


async def test_a_consumer_that_lost_its_broker_finds_it_again(
    embedded_broker: Broker, tmp_path: Path
) -> None:
    watched = Watched()
    async with MqttConsumer(_settings(embedded_broker), RECEIVE_MAX, watched) as consumer:
        async with asyncio.timeout(WAIT_S):
            await watched.is_subscribed.wait()
            watched.is_subscribed.clear()
            await asyncio.to_thread(embedded_broker.kill)
            await watched.is_lost.wait()
            await asyncio.to_thread(embedded_broker.start)
            await watched.is_subscribed.wait()
        with connected(embedded_broker.port) as gateway:
            gateway.send(b"after")
            assert (await next_one(consumer)).payload == b"after"


async def test_a_fault_of_ours_is_told_and_no_silence(
    embedded_broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with listening(embedded_broker) as consumer:
        monkeypatch.setattr(consumer, "arrived", None)  # a bug
        errors: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, facts: errors.append(facts))
        with connected(embedded_broker.port) as gateway:
            gateway.send(b"x")
            async with asyncio.timeout(WAIT_S):
                with pytest.raises(ConsumerStopped):
                    await _wait_for_ever(consumer)
    assert errors


async def test_two_workers_of_one_name_are_told_and_do_not_fight(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mosquitto 2.0.11 and iotcore say nothing to whom they take the session from."""
    monkeypatch.setattr(consumer_module, "RECONNECT_S_MIN", 0.05)
    settings = _settings(broker)
    one, other = Watched(), Watched()
    with capture_logs() as logs:
        async with (
            MqttConsumer(settings, RECEIVE_MAX, one),
            MqttConsumer(settings, RECEIVE_MAX, other),
            asyncio.timeout(WAIT_S),
        ):
            done, waiting = await asyncio.wait(
                {asyncio.create_task(watched.is_taken_over.wait()) for watched in (one, other)},
                return_when=asyncio.FIRST_COMPLETED,
            )
            for task in waiting:
                task.cancel()
    assert done
    told = next(log for log in logs if log["event"] == "broker.session_taken_over")
    assert (told["key"], told["log_level"]) == ("broker.client_id", "error")
    assert told["cure"]


def _end(open_s: float | None = 1, *, kept: bool = True, reason: int | None = None) -> End:
    return End("closed", open_s=open_s, session_kept=kept, reason=reason)


def test_a_rival_is_known_by_the_third_brief_connection_and_left_in_peace() -> None:
    rival = Rival()
    ends = [_end(), _end(), _end(), _end(7), _end(40), _end(100), _end(100)]
    assert [rival.pause_s(end) for end in ends] == [None, None, 5, 10, 20, 40, 60]
    assert rival.pause_s(_end(121)) is None
    assert [rival.pause_s(_end()) for _ in range(3)] == [None, None, 5]


@pytest.mark.parametrize(
    "other",
    [
        None,
        _end(11),
        _end(None),
        _end(kept=False),  # a broker that has restarted
        _end(reason=0x8B),
        End("a fault", open_s=1, session_kept=True, is_ours=True),
    ],
)
def test_other_ends_are_no_rivals(other: End | None) -> None:
    rival = Rival()
    ends = [_end(), _end(), other, _end(), _end(), other, _end(), _end()]
    assert [rival.pause_s(end) for end in ends] == [None] * len(ends)


def test_a_rival_that_the_broker_names_is_believed_at_once() -> None:
    rival = Rival()
    assert [rival.pause_s(_end(500, reason=0x8E)) for _ in range(3)] == [5, 10, 20]


async def _wait_for_ever(consumer: MqttConsumer) -> None:
    while True:
        await consumer.wait(0.05)


@contextmanager
def _subscriber(port: int, topic: str) -> Iterator["queue.Queue[Answer]"]:
    """Paho, subscribed to *topic*."""
    heard: queue.Queue[Answer] = queue.Queue()
    is_subscribed = threading.Event()
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)

    def on_message(_client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        correlation = getattr(message.properties, "CorrelationData", None)
        heard.put(Answer(message.topic, bytes(message.payload), correlation))

    client.on_message = on_message
    client.on_subscribe = lambda *_: is_subscribed.set()
    client.on_connect = lambda client, *_: client.subscribe(topic, qos=1)
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        assert is_subscribed.wait(WAIT_S)
        yield heard
    finally:
        client.disconnect()
        client.loop_stop()
