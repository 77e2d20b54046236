"""Brokers that break the rules, stop half way or say nothing: the consumer parts and comes back."""

import asyncio
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from ingest import broker_link, rival
from ingest import consumer as consumer_module
from ingest.broker_link import BrokerLink
from ingest.delivery import Answer
from tests.gateway.certificates import Authority
from tests.ingest.consuming import next_one, next_ones
from tests.ingest.misleading import SUBSCRIPTION, Guest, misled_by
from tests.ingest.mqtt5_words import connack, disconnect, packet, puback, publish, suback, text


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Come back at once."""
    for name in ("RECONNECT_S_MIN", "RECONNECT_S_MAX"):
        monkeypatch.setattr(consumer_module, name, 0.01)
    for name in ("PAUSE_S_MIN", "PAUSE_S_MAX"):
        monkeypatch.setattr(rival, name, 0.01)


async def _stays(guest: Guest) -> None:
    await guest.welcome()
    guest.say(publish("t", b"at last", 1))
    await guest.goodbye()


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (packet(0x36, b"\0\1t\0\1\0"), 0x81),  # QoS 3
        (packet(0x32, b"\0\1t\0\0\0"), 0x82),  # packet id 0
        (packet(0x32, b"\0\1t\0\1\3\x23\0\1"), 0x94),  # a topic alias
        (packet(0x34, b"\0\1t\0\1\0"), 0x9B),  # QoS 2
        (b"\x32\xff\xff\xff\x7f", 0x95),  # 256 MB
        (b"\x32\xff\xff\xff\xff", 0x81),
        (connack(), 0x82),
        (suback(7), 0x82),
        (packet(0xF0, b""), 0x82),  # AUTH
        (packet(0xC0, b""), 0x82),  # a server's PINGREQ
        (packet(0x10, b""), 0x82),  # HTTP would look no better
    ],
)
async def test_a_broker_that_breaks_a_rule_hears_which_and_is_tried_again(
    wrong: bytes, reason: int
) -> None:
    said: list[int | None] = []

    async def breaks(guest: Guest) -> None:
        await guest.welcome()
        guest.say(publish("t", b"before", 1), wrong, publish("t", b"after", 2))
        said.append(await guest.goodbye())

    with capture_logs() as logs:
        async with misled_by(breaks, _stays) as (consumer, _, _):
            heard = [one.payload for one in await next_ones(consumer, 2)]
    assert heard == [b"before", b"at last"]
    assert said == [reason]
    (lost,) = [log for log in logs if log["event"] == "broker.lost"]
    assert "broke the protocol" in lost["reason"]


async def test_a_broker_that_hangs_up_in_the_middle_of_a_packet_is_tried_again() -> None:
    async def hangs_up(guest: Guest) -> None:
        await guest.welcome()
        guest.say(publish("t", b"whole", 1), publish("t", b"half", 2)[:-2])

    async with misled_by(hangs_up, _stays) as (consumer, _, _):
        assert [one.payload for one in await next_ones(consumer, 2)] == [b"whole", b"at last"]


async def test_a_broker_that_speaks_before_it_welcomes_is_left() -> None:
    async def too_early(guest: Guest) -> None:
        await guest.packet()
        guest.say(publish("t", b"early", 1))
        assert await guest.goodbye() is None  # nothing may be said before CONNACK

    async with misled_by(too_early, _stays) as (consumer, _, _):
        assert (await next_one(consumer)).payload == b"at last"


async def test_a_broker_that_does_not_welcome_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker_link, "HANDSHAKE_S_MAX", 0.1)

    async def silent(guest: Guest) -> None:
        await guest.goodbye()

    with capture_logs() as logs:
        async with misled_by(silent, _stays) as (consumer, _, _):
            assert (await next_one(consumer)).payload == b"at last"
    assert logs[0]["event"] == "broker.unreachable"
    assert "no CONNACK" in logs[0]["problem"]


async def test_a_broker_that_falls_silent_is_given_up_after_its_own_keep_alive() -> None:
    pinged = asyncio.Event()

    async def falls_silent(guest: Guest) -> None:
        await guest.welcome(properties=b"\x13\0\1")  # server keep alive: 1 s
        assert await guest.packet() == (0xC0, b"")
        pinged.set()
        await guest.goodbye()

    with capture_logs() as logs:
        async with misled_by(falls_silent, _stays) as (consumer, _, _):
            assert (await next_one(consumer)).payload == b"at last"
    assert pinged.is_set()
    (lost,) = [log for log in logs if log["event"] == "broker.lost"]
    assert lost["reason"] == "no answer to PINGREQ"


async def test_a_broker_that_answers_pings_is_kept() -> None:
    async def answers(guest: Guest) -> None:
        await guest.welcome(properties=b"\x13\0\1")
        for _ in range(2):
            assert await guest.packet() == (0xC0, b"")
            guest.say(b"\xd0\0")
        guest.say(publish("t", b"still here", 1))
        assert await guest.goodbye() == 0

    async with misled_by(answers) as (consumer, watched, broker):
        assert (await next_one(consumer)).payload == b"still here"
        assert (broker.visits, watched.is_lost.is_set()) == (1, False)


async def test_a_refusal_is_told_with_its_reason_and_a_cure() -> None:
    async def refuses(guest: Guest) -> None:
        await guest.packet()
        guest.say(connack(0x86))
        await guest.goodbye()

    with capture_logs() as logs:
        async with misled_by(refuses, _stays) as (consumer, _, _):
            await next_one(consumer)
    assert logs[0]["event"] == "broker.refused"
    assert "bad user name or password (0x86)" in logs[0]["reason"]
    assert logs[0]["cure"]


async def test_a_refused_subscription_is_told_and_does_not_count_as_one() -> None:
    async def refuses(guest: Guest) -> None:
        await guest.packet()
        guest.say(connack())
        await guest.packet()
        guest.say(suback(SUBSCRIPTION, [0x87]), publish("t", b"x", 1))
        await guest.goodbye()

    with capture_logs() as logs:
        async with misled_by(refuses) as (consumer, watched, _):
            await next_one(consumer)
            assert not watched.subscriptions
    assert "broker.subscription_refused" in [log["event"] for log in logs]


async def test_a_subscription_that_was_refused_is_asked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(consumer_module, "SUBSCRIBE_AGAIN_S", 0.0)

    asked = []

    async def refuses_twice(guest: Guest) -> None:
        await guest.packet()
        guest.say(connack())
        asked.append(await guest.packet())
        for _ in range(2):
            guest.say(suback(SUBSCRIPTION, [0x87]))
            asked.append(await guest.packet())
        guest.say(suback(SUBSCRIPTION, [1]), publish("t", b"x", 1))
        await guest.goodbye()

    with capture_logs() as logs:
        async with misled_by(refuses_twice) as (consumer, watched, broker):
            await next_one(consumer)
            assert (broker.visits, watched.subscriptions) == (1, 1)
    assert asked == [asked[0]] * 3
    told = [log["event"] for log in logs if "subscri" in log["event"]]
    assert told == ["broker.subscription_refused"] * 2 + ["broker.subscribed"]


async def test_a_session_taken_over_is_told_with_the_cure() -> None:
    async def takes_over(guest: Guest) -> None:
        await guest.welcome()
        guest.say(disconnect(0x8E))
        await guest.goodbye()

    with capture_logs() as logs:
        async with misled_by(takes_over, _stays) as (consumer, watched, _):
            await next_one(consumer)
            assert watched.taken_over_times == 1
    (told,) = [log for log in logs if log["event"] == "broker.session_taken_over"]
    assert told["key"] == "broker.client_id"


async def test_another_server_that_is_named_is_not_gone_to() -> None:
    async def moves(guest: Guest) -> None:
        await guest.welcome()
        guest.say(disconnect(0x9D, b"\x1c\0\x04evil"))
        await guest.goodbye()

    async with misled_by(moves, _stays) as (consumer, _, broker):
        assert (await next_one(consumer)).payload == b"at last"
        assert broker.visits == 2


@pytest.mark.parametrize("with_tls", [False, True])
async def test_a_broker_that_ignores_receive_maximum_is_held_back_by_tcp(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, with_tls: bool
) -> None:
    """What is held stays bounded; all of it comes in the end, in order, and is acknowledged so."""
    receive_max, count, size = 10, 600, 30_000
    acknowledged: list[int] = []
    authority = Authority(tmp_path, "authority") if with_tls else None
    paused = asyncio.Event()
    pause = BrokerLink.pause

    def pause_and_tell(link: BrokerLink) -> None:
        pause(link)
        paused.set()

    monkeypatch.setattr(BrokerLink, "pause", pause_and_tell)

    async def floods(guest: Guest) -> None:
        await guest.welcome()
        for number in range(1, count + 1):
            guest.say(publish("t", bytes(size), number))
        while len(acknowledged) < count:
            _, body = await guest.packet()
            acknowledged.append(int.from_bytes(body[:2], "big"))

    async with misled_by(floods, receive_max=receive_max, authority=authority) as (
        consumer,
        watched,
        broker,
    ):
        await paused.wait()
        total = most = 0
        while total < count:
            await consumer.wait(1)
            most = max(most, len(consumer._order))
            taken = consumer.take(3)
            total += len(taken)
            consumer.acknowledge(taken)
            await asyncio.sleep(0)  # the socket may be read again
        await broker.is_done.wait()
    assert 2 * receive_max <= most <= 2 * receive_max + 256 * 1024 // size + 1  # one read beyond
    assert acknowledged == list(range(1, count + 1))
    assert watched.holding[-1] == (0, 0)


@pytest.mark.parametrize(
    ("topic", "payload", "properties"),
    [
        ("t", bytes(50_000), b""),
        ("t" * 50_000, b"", b""),
        ("t", b"", b"\x09" + text(bytes(50_000))),
    ],
)
async def test_all_that_is_kept_of_what_a_sender_wrote_counts_as_held(
    topic: str, payload: bytes, properties: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Few messages, each large: wherever it is large, the socket is not read on."""
    monkeypatch.setattr(consumer_module, "HELD_BYTES_MAX", 300_000)
    count = 40

    async def floods(guest: Guest) -> None:
        await guest.welcome()
        for number in range(1, count + 1):
            guest.say(publish(topic, payload, number, properties))
        await guest.goodbye()

    most = 0
    async with misled_by(floods, receive_max=1000) as (consumer, watched, _):
        for number in range(count):
            one = await next_one(consumer)
            if number == 0:
                await asyncio.sleep(0.1)
            most = max(most, len(consumer._order))
            consumer.acknowledge([one])
    assert most <= (300_000 + 256 * 1024) // 50_000 + 2
    assert watched.holding[-1] == (0, 0)


async def test_what_a_new_connection_brings_is_acknowledged_there_and_nothing_else() -> None:
    acknowledged: asyncio.Queue[bytes] = asyncio.Queue()
    come_back = asyncio.Event()

    async def breaks(guest: Guest) -> None:
        await guest.welcome()
        guest.say(publish("t", b"old", 7))
        await come_back.wait()

    async def resumes(guest: Guest) -> None:
        await guest.welcome(flags=1)
        guest.say(publish("t", b"new", 7, flags=8), publish("t", b"newer", 8))
        for _ in range(2):
            acknowledged.put_nowait((await guest.packet())[1])
        await guest.goodbye()

    async with misled_by(breaks, resumes) as (consumer, _, _):
        old = await next_one(consumer)
        come_back.set()
        new, newer = await next_ones(consumer, 2)
        consumer.acknowledge([newer])
        consumer.acknowledge([old])
        consumer.acknowledge([new])
        assert [await acknowledged.get(), await acknowledged.get()] == [b"\0\7", b"\0\x08"]


async def test_receipts_that_were_not_confirmed_come_again_on_a_kept_session() -> None:
    heard: list[tuple[int, bytes]] = []
    leave, sent_while_away = asyncio.Event(), asyncio.Event()

    async def forgets(guest: Guest) -> None:
        await guest.welcome()
        heard.append(await guest.packet())
        leave.set()

    async def resumes(guest: Guest) -> None:
        await sent_while_away.wait()
        await guest.welcome(flags=1)
        heard.extend([await guest.packet(), await guest.packet()])
        guest.say(puback(1), puback(2, 0x87), publish("t", b"now", 1))
        await guest.goodbye()

    with capture_logs() as logs:
        async with misled_by(forgets, resumes) as (consumer, watched, _):
            await watched.is_subscribed.wait()
            consumer.publish([Answer("t", b"first", b"c")])
            await leave.wait()
            await watched.is_lost.wait()
            consumer.publish([Answer("t", b"second", b"c")])
            sent_while_away.set()
            await next_one(consumer)
            assert len(consumer._in_flight) == 0
    kinds = [first for first, _ in heard]
    assert kinds == [0x32, 0x3A, 0x32]  # sent, sent again, sent for the first time
    assert heard[0][1] == heard[1][1]
    (refused,) = [log for log in logs if log["event"] == "receipts.refused"]
    assert "not authorized (0x87)" in refused["reason"]


async def test_receipts_keep_to_the_limits_of_the_broker() -> None:
    heard: asyncio.Queue[tuple[int, bytes]] = asyncio.Queue()

    async def modest(guest: Guest) -> None:
        # Receive Maximum 1, Maximum Packet Size 60
        await guest.welcome(properties=b"\x21\0\1\x27\0\0\0\x3c")
        for _ in range(2):
            heard.put_nowait(await guest.packet())
        await guest.goodbye()

    with capture_logs() as logs:
        async with misled_by(modest) as (consumer, watched, _):
            await watched.is_subscribed.wait()
            payloads = (b"one", bytes(60), b"two")
            consumer.publish([Answer("t", payload, None) for payload in payloads])
            got = [await heard.get(), await heard.get()]
    assert [(first, body[-3:]) for first, body in got] == [(0x32, b"one"), (0x30, b"two")]
    assert "receipts.dropped" in [log["event"] for log in logs]


async def test_a_broker_that_takes_nothing_does_not_make_receipts_pile_up() -> None:
    async def deaf(guest: Guest) -> None:
        await guest.welcome()
        guest.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await done.wait()

    done = asyncio.Event()
    answers = [Answer("t", bytes(10_000), None)] * 100
    with capture_logs() as logs:
        async with misled_by(deaf) as (consumer, watched, _):
            await watched.is_subscribed.wait()
            for _ in range(100):
                consumer.publish(answers)
            link = consumer._link
            assert link is not None
            assert link._transport is not None
            waiting = link._transport.get_write_buffer_size()
            link.abort()
            done.set()
    assert waiting < 3 * 1024 * 1024
    assert "receipts.dropped" in [log["event"] for log in logs]
