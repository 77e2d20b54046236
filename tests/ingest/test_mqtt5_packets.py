"""Packets against golden ones, written by hand from the specification; broken rules are named."""

import pytest

from ingest.mqtt5 import (
    Auth,
    Connack,
    Connect,
    Connection,
    Disconnect,
    Due,
    Event,
    InFlight,
    KeepAlive,
    Pingresp,
    ProtocolError,
    Puback,
    Publish,
    Reader,
    ReasonCode,
    State,
    Suback,
    describe,
    encode_disconnect,
    encode_pubacks,
    encode_publish,
    encode_text,
)
from tests.ingest.mqtt5_words import connack, disconnect, packet, publish, suback, text

CONNECT = Connect(
    client_id="me", keepalive_s=30, session_expiry_s=86_400, receive_max=1000, packet_bytes_max=9000
)


def _one(data: str) -> Event:
    events: list[Event] = []
    Reader(9000).feed(bytes.fromhex(data), events)
    (event,) = events
    return event


def test_connect_is_the_golden_one() -> None:
    assert CONNECT.encode().hex(" ") == (
        "10 1c 00 04 4d 51 54 54 05 00 00 1e"  # MQTT, 5, clean start 0, keep alive 30
        " 0d 11 00 01 51 80 21 03 e8 27 00 00 23 28"  # expiry, receive maximum, packet size
        " 00 02 6d 65"
    )


def test_connect_carries_credentials() -> None:
    one = Connect(
        client_id="",
        keepalive_s=0,
        session_expiry_s=0,
        receive_max=1,
        packet_bytes_max=1,
        username="u",
        password=b"pw",
    )
    assert one.encode()[9] == 0xC0
    assert one.encode().endswith(bytes.fromhex("0000 0001 75 0002 70 77"))


def test_subscribe_is_the_golden_one() -> None:
    connection = Connection(CONNECT)
    connection.receive(connack(), [])
    assert connection.subscribe(["a/+"]).hex(" ") == "82 09 ff ff 00 00 03 61 2f 2b 21"


def test_acknowledgements_are_the_golden_ones() -> None:
    assert encode_pubacks([1, 0x1234, 0xFFFF]).hex(" ") == "40 02 00 01 40 02 12 34 40 02 ff ff"
    assert encode_pubacks([]) == b""


def test_publishes_are_the_golden_ones() -> None:
    topic = encode_text("a/b")
    assert encode_publish(topic, b"hi", None).hex(" ") == "30 08 00 03 61 2f 62 00 68 69"
    assert encode_publish(topic, b"hi", b"\xaa", 0x102).hex(" ") == (
        "32 0e 00 03 61 2f 62 01 02 04 09 00 01 aa 68 69"
    )


@pytest.mark.parametrize("size", [0, 1, 124, 125, 128, 300])
@pytest.mark.parametrize("length", [0, 100, 16_000, 17_000])
def test_publishes_of_all_sizes_are_as_by_hand(size: int, length: int) -> None:
    mine = encode_publish(encode_text("t"), bytes(length), bytes(size), 9)
    assert mine == publish("t", bytes(length), 9, b"\x09" + text(bytes(size)))


def test_disconnects_are_the_golden_ones() -> None:
    assert encode_disconnect().hex(" ") == "e0 00"
    assert encode_disconnect(ReasonCode.PROTOCOL_ERROR).hex(" ") == "e0 01 82"


@pytest.mark.parametrize(
    ("data", "event"),
    [
        ("20 03 01 00 00", Connack(0, session_present=True)),
        (
            "20 14 00 00 11 21 00 14 24 00 27 00 00 10 00 13 00 3c 12 00 01 78",
            Connack(0, False, 20, 0, 4096, 60, "x"),
        ),
        ("20 08 00 87 05 1f 00 02 6e 6f", Connack(0x87, text="no")),
        ("40 02 00 07", Puback(7)),
        ("40 03 00 07 10", Puback(7, 0x10)),
        ("40 09 00 07 87 05 1f 00 02 6e 6f", Puback(7, 0x87, "no")),
        ("90 04 00 01 00 01", Suback(1, (1,))),
        ("90 05 00 01 00 01 87", Suback(1, (1, 0x87))),
        ("d0 00", Pingresp()),
        ("e0 00", Disconnect()),
        ("e0 01 8e", Disconnect(0x8E)),
        ("e0 0a 9d 08 1c 00 05 6f 74 68 65 72", Disconnect(0x9D)),  # names another server
        ("f0 00", Auth()),
        ("30 06 00 01 74 00 68 69", Publish("t", b"hi", None, None, 0)),
        ("31 04 00 01 74 00", Publish("t", b"", None, None, 0)),  # retained
        ("32 06 00 01 74 00 05 00", Publish("t", b"", None, None, 5)),
        ("3a 06 00 01 74 00 05 00", Publish("t", b"", None, None, 5)),  # a duplicate
        (
            "32 0f 00 01 74 00 05 08 08 00 01 72 09 00 01 63 70",
            Publish("t", b"p", "r", b"c", 5),
        ),
        (
            "32 0f 00 01 74 00 05 08 09 00 01 63 08 00 01 72 70",
            Publish("t", b"p", "r", b"c", 5),
        ),
        (
            "32 1a 00 01 74 00 05 14 01 01 02 00 00 00 09 03 00 01 63 0b 07 26 00 01 61 00 01 62",
            Publish("t", b"", None, None, 5),
        ),
        ("32 0a 00 01 74 00 05 04 0b 05 0b 06", Publish("t", b"", None, None, 5)),
        ("32 10 00 01 74 00 05 0a 26 00 00 00 00 26 00 00 00 00", Publish("t", b"", None, None, 5)),
        # What another client wrote is no reason to part with the broker.
        ("32 09 00 01 74 00 05 03 08 00 00", Publish("t", b"", "", None, 5)),
        ("32 0b 00 01 74 00 05 05 08 00 02 c3 28", Publish("t", b"", None, None, 5)),
        ("32 08 00 01 74 00 05 02 01 02", Publish("t", b"", None, None, 5)),
        ("32 07 00 02 c3 28 00 05 00", Publish("", b"", None, None, 5)),
        ("32 06 00 01 00 00 05 00", Publish("", b"", None, None, 5)),
    ],
)
def test_golden_packets_of_a_server(data: str, event: Event) -> None:
    assert _one(data) == event


@pytest.mark.parametrize(
    ("data", "reason", "rule"),
    [
        ("32 06 00 01 74 00 00 00", 0x82, "MQTT-2.2.1-4"),
        ("40 02 00 00", 0x82, "MQTT-2.2.1-4"),
        ("36 06 00 01 74 00 05 00", 0x81, "MQTT-3.3.1-4"),
        ("34 06 00 01 74 00 05 00", 0x9B, "MQTT-3.8.4-8"),
        ("38 04 00 01 74 00", 0x81, "MQTT-3.3.1-2"),
        ("32 09 00 01 74 00 05 03 23 00 01", 0x94, "MQTT-3.1.2-27"),
        ("30 03 00 00 00", 0x82, "3.3.2.1"),
        ("32 0a 00 01 74 00 05 04 01 00 01 00", 0x82, "twice"),
        ("20 05 00 00 02 24 02", 0x82, "MAXIMUM_QOS is 2, not 0 or 1"),
        ("32 08 00 01 74 00 05 02 0b 00", 0x82, "SUBSCRIPTION_IDENTIFIER is 0"),
        ("32 09 00 01 74 00 05 03 21 00 01", 0x81, "RECEIVE_MAXIMUM in a PUBLISH"),
        ("32 08 00 01 74 00 05 02 7e 00", 0x81, "no property 0x7e"),
        ("32 08 00 01 74 00 05 02 08 00", 0x81, "over the end"),
        ("32 06 00 01 74 00 05 01", 0x81, "over the end"),
        ("32 03 00 09 74", 0x81, "over the end"),
        ("32 07 00 01 74 00 05 80 00", 0x81, "MQTT-1.5.5-1"),
        ("20 03 02 00 00", 0x81, "MQTT-3.2.2-1"),
        ("20 03 01 87 00", 0x82, "MQTT-3.2.2-6"),
        ("20 06 00 00 03 21 00 00", 0x82, "RECEIVE_MAXIMUM is 0"),
        ("20 07 00 00 04 15 00 01 78", 0x82, "MQTT-4.12.0-6"),
        ("20 08 00 00 05 1f 00 02 c3 28", 0x81, "MQTT-1.5.4-1"),
        ("20 07 00 00 04 1f 00 01 00", 0x81, "MQTT-1.5.4-2"),
        ("20 04 00 00 00 00", 0x81, "after the last field"),
        ("21 03 00 00 00", 0x81, "MQTT-2.1.3-1"),
        ("d0 01 00", 0x81, "after the last field"),
        ("10 00", 0x82, "type 1"),
        ("50 02 00 01", 0x82, "type 5"),
        ("80 00", 0x82, "type 8"),
        ("c0 00", 0x82, "type 12"),
        ("00 00", 0x82, "type 0"),
        ("30 80 80 80 80 01", 0x81, "more than 4 bytes"),
        ("30 ff 00", 0x81, "MQTT-1.5.5-1"),
    ],
)
def test_what_breaks_a_rule_is_refused_with_its_reason(data: str, reason: int, rule: str) -> None:
    with pytest.raises(ProtocolError) as refused:
        _one(data)
    assert refused.value.reason == reason
    assert rule in str(refused.value)


def _open() -> Connection:
    connection = Connection(CONNECT)
    events: list[Event] = []
    connection.receive(connack(flags=1), events)
    assert events == [Connack(0, session_present=True)]
    assert connection.state is State.OPEN
    return connection


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (publish("t", b""), "MQTT-3.2.0-1"),
        (suback(1), "MQTT-3.2.0-1"),
        (disconnect(0x8B), "MQTT-3.2.0-1"),
        (packet(0xF0, b""), "MQTT-4.12.0-6"),
        (connack() + connack(), "MQTT-3.2.0-2"),
        (connack() + packet(0xF0, b""), "MQTT-4.12.0-6"),
        (connack() + suback(1), "MQTT-2.2.1-6"),
        (connack() + disconnect(0x8B) + publish("t", b""), "MQTT-3.14.4-1"),
        (connack(0x87) + publish("t", b""), "MQTT-3.14.4-1"),
    ],
)
def test_what_comes_out_of_turn_is_refused(data: bytes, rule: str) -> None:
    with pytest.raises(ProtocolError, match=rule):
        Connection(CONNECT).receive(data, [])


def test_what_came_before_the_fault_is_heard_and_nothing_after() -> None:
    events: list[Event] = []
    with pytest.raises(ProtocolError):
        Connection(CONNECT).receive(connack() + publish("t", b"x") + connack() + b"\xff", events)
    assert events == [Connack(0), Publish("t", b"x", None, None, 1)]


def test_a_subscription_is_answered_with_a_reason_for_each_filter() -> None:
    connection = _open()
    connection.subscribe(["a"])
    with pytest.raises(ProtocolError, match=r"MQTT-3\.8\.4-6"):
        connection.receive(suback(0xFFFF, [1, 1]), [])


def test_a_subscription_is_answered_once_and_may_be_asked_for_again() -> None:
    connection = _open()
    first = connection.subscribe(["a"])
    connection.receive(suback(0xFFFF, [0x87]), [])
    with pytest.raises(ProtocolError, match=r"MQTT-2\.2\.1-6"):
        connection.receive(suback(0xFFFF, [1]), [])
    assert connection.subscribe(["a"]) == first


def test_a_refusal_closes() -> None:
    connection = Connection(CONNECT)
    connection.receive(connack(0x86), [])
    assert connection.state is State.CLOSED


def test_publishes_in_flight_are_sent_again_in_order_with_dup_when_the_session_is_kept() -> None:
    in_flight = InFlight(3)
    packets = {}
    for payload in (b"a", b"b", b"c"):
        number = in_flight.next_id()
        packets[number] = encode_publish(encode_text("t"), payload, None, number)
        in_flight.keep(number, packets[number], is_sent=payload != b"c")
    assert in_flight.room == 0
    assert in_flight.acknowledged(1)
    assert not in_flight.acknowledged(1)
    kept = Connack(0, session_present=True)
    assert in_flight.resume(kept) == publish("t", b"b", 2, flags=8) + publish("t", b"c", 3)


def test_publishes_in_flight_are_new_ones_to_a_server_that_has_forgotten_the_session() -> None:
    in_flight = InFlight(3)
    in_flight.keep(2, publish("t", b"b", 2), is_sent=True)
    assert in_flight.resume(Connack(0)) == publish("t", b"b", 2)


def test_what_two_connections_have_broken_on_is_not_sent_a_third_time() -> None:
    kept = Connack(0, session_present=True)
    in_flight = InFlight(3)
    in_flight.keep(1, publish("t", b"a", 1), is_sent=True)
    in_flight.keep(2, publish("t", b"b", 2), is_sent=False)
    assert in_flight.resume(kept) == publish("t", b"a", 1, flags=8) + publish("t", b"b", 2)
    assert in_flight.resume(kept) == publish("t", b"b", 2, flags=8)
    assert (in_flight.resume(kept), len(in_flight)) == (b"", 0)


def test_a_servers_limits_hold_for_what_is_in_flight() -> None:
    in_flight = InFlight(10)
    for number in range(1, 5):
        packet_ = encode_publish(encode_text("t"), bytes(10 * number), None, number)
        in_flight.keep(number, packet_, is_sent=True)
    in_flight.resume(Connack(0, session_present=True, packet_bytes_max=40, receive_max=2))
    assert len(in_flight) == 2
    assert in_flight.room == 0
    assert in_flight.resume(Connack(0, qos_max=0)) == b""
    assert (len(in_flight), in_flight.room) == (0, 0)


def test_packet_ids_are_never_zero_and_never_in_use() -> None:
    in_flight = InFlight(70_000)
    in_flight.keep(1, b"", is_sent=True)
    in_flight.keep(4, b"", is_sent=True)
    seen = [in_flight.next_id() for _ in range(0xFFFE)]
    assert seen[:3] == [2, 3, 5]
    assert set(seen) == set(range(1, 0xFFFF)) - {1, 4}


def test_a_ping_is_due_before_the_interval_ends_and_silence_is_the_end() -> None:
    alive = KeepAlive(10, now=0)
    assert alive.due(7.9) is Due.NOTHING
    assert alive.due(8) is Due.PING
    assert alive.due(12.9) is Due.NOTHING
    assert alive.due(13) is Due.GIVE_UP
    alive.heard(13)
    alive.sent(8)
    assert alive.due(13.1) is Due.NOTHING
    assert alive.due(16) is Due.PING


def test_who_does_not_read_pings_on_and_blames_nobody() -> None:
    alive = KeepAlive(10, now=0)
    pings = 0
    for second in range(97):
        due = alive.due(second, is_listening=False)
        assert due is not Due.GIVE_UP
        if due is Due.PING:
            pings += 1
            alive.sent(second)
    assert pings == 12
    assert alive.due(103.9) is Due.NOTHING  # what was sent at 96 has had no ear for its answer
    assert alive.due(104) is Due.PING


def test_no_keep_alive_is_no_ping() -> None:
    assert KeepAlive(0, now=0).due(1e9) is Due.NOTHING


def test_reasons_are_told_in_words_also_those_of_tomorrow() -> None:
    assert describe(0x8E, "other") == "session taken over (0x8e): other"
    assert describe(0xC0) == "unknown reason (0xc0)"
