"""Any bytes, split anywhere, give the same events or the same ProtocolError, and nothing else."""

import contextlib
from collections.abc import Iterable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ingest.mqtt5 import Connect, Connection, Event, ProtocolError, Publish, Reader, State
from ingest.mqtt5 import reader as reader_module
from ingest.mqtt5.fields import Cursor
from ingest.mqtt5.packets import decode
from tests.ingest.mqtt5_words import connack, cut, damaged, packet, publish, streams, text, variable

PACKET_BYTES_MAX = 100_000
CONNECT = Connect(
    client_id="me",
    keepalive_s=30,
    session_expiry_s=60,
    receive_max=10,
    packet_bytes_max=PACKET_BYTES_MAX,
)
Outcome = tuple[list[Event], str]


def _read(pieces: Iterable[bytes], reader: Reader | None = None) -> Outcome:
    reader = reader or Reader(PACKET_BYTES_MAX)
    events: list[Event] = []
    try:
        for piece in pieces:
            reader.feed(piece, events)
    except ProtocolError as error:
        return events, str(error)
    return events, ""


def _read_slowly(packets: Iterable[bytes]) -> list[Event]:
    """Read with the reader of single packets only, past the fast loop."""
    events = []
    for one in packets:
        at = 1
        while one[at] & 0x80:
            at += 1
        events.append(decode(one[0], Cursor(one, at + 1, len(one)), {}))
    return events


@given(streams)
def test_the_fast_way_reads_what_the_slow_way_reads(packets: list[bytes]) -> None:
    reader = Reader(PACKET_BYTES_MAX)
    slowly = _read_slowly(packets)
    for _ in range(2):  # the second time all topics are known
        assert _read([b"".join(packets)], reader) == (slowly, "")


@given(streams, st.lists(st.integers(0, 3000), max_size=8))
def test_a_sound_stream_split_anywhere_gives_the_same_events(
    packets: list[bytes], places: list[int]
) -> None:
    data = b"".join(packets)
    whole = _read([data])
    assert whole[1] == ""
    assert len(whole[0]) == len(packets)
    assert _read(cut(data, places)) == whole
    assert _read(bytes([byte]) for byte in data) == whole


@given(st.one_of(damaged(), st.binary(max_size=60)), st.lists(st.integers(0, 3000), max_size=8))
@example(b"\x32\xff\xff\xff\xff\x01", [3])
@example(b"\x30\x80\x00", [2])
def test_damage_split_anywhere_gives_the_same_events_and_the_same_error(
    data: bytes, places: list[int]
) -> None:
    whole = _read([data])
    assert _read(cut(data, places)) == whole
    assert _read(bytes([byte]) for byte in data) == whole


@given(damaged())
def test_a_damaged_stream_fares_the_same_with_known_topics(data: bytes) -> None:
    """The fast loop takes only what it could prove; known topics must not open a way around."""
    knowing = Reader(PACKET_BYTES_MAX)
    for topic in ("g-1/readings", "g-2/readings", "å/ä"):
        answer = b"\x08" + text("g-1/receipts") + b"\x09" + text(b"")
        knowing.feed(publish(topic, b"", 1, answer), [])
    assert _read([data], knowing) == _read([data])


@pytest.mark.parametrize("properties", [b"\x08\0\1a\x09\0\2cc", b""])
@pytest.mark.parametrize("after", [b"", publish("b", b"next", 2)])
def test_every_change_of_a_byte_fares_the_same_with_known_topics(
    properties: bytes, after: bytes
) -> None:
    """Each length of a packet with each value that it can have, and each other byte too."""
    whole = publish("t", b"pp", 5, properties)
    known = Reader(PACKET_BYTES_MAX)
    assert _read([publish("t", b"", 1, b"\x08\0\1a"), publish("b", b"", 1)], known)[1] == ""
    for place in range(len(whole)):
        for value in range(256):
            data = whole[:place] + bytes([value]) + whole[place + 1 :] + after
            knowing = Reader(PACKET_BYTES_MAX)
            knowing._names = dict(known._names)
            assert _read([data], knowing) == _read([data]), (place, value)


@pytest.mark.parametrize("length", [0, 1, 100, 110, 120, 127, 128, 16_383, 16_384, 50_000, 99_000])
def test_payloads_of_every_length_of_length_are_read(length: int) -> None:
    payload = bytes(length)
    usual = b"\x08" + text("a") + b"\x09" + text(b"c")
    events, problem = _read([publish("t", payload, 7, usual) * 3])
    assert (events, problem) == ([Publish("t", payload, "a", b"c", 7)] * 3, "")


@pytest.mark.parametrize("size", [100, 125, 127, 128, 200, 20_000])
def test_correlation_data_of_every_length_is_read(size: int) -> None:
    usual = b"\x08" + text("a") + b"\x09" + text(bytes(size))
    events, problem = _read([publish("t", b"p", 7, usual) * 2])
    assert (events, problem) == ([Publish("t", b"p", "a", bytes(size), 7)] * 2, "")


@given(st.lists(st.one_of(damaged(), st.binary(max_size=30)), max_size=5))
def test_no_bytes_make_a_connection_raise_anything_but_a_protocol_error(
    pieces: list[bytes],
) -> None:
    connection = Connection(CONNECT)
    if pieces and pieces[0][:1] != b"\x20":
        pieces = [connack(), *pieces]
    subscribed = False
    with contextlib.suppress(ProtocolError):
        for piece in pieces:
            events: list[Event] = []
            connection.receive(piece, events)
            assert connection.state is not State.CONNECTING or not events
            if connection.state is State.OPEN and not subscribed:
                subscribed = True
                connection.subscribe(["a"])


def test_a_packet_that_is_too_large_is_refused_by_its_header() -> None:
    events: list[Event] = []
    with pytest.raises(ProtocolError, match=r"MQTT-3\.1\.2-24") as refused:
        Reader(PACKET_BYTES_MAX).feed(b"\x32" + variable(PACKET_BYTES_MAX), events)
    assert (refused.value.reason, events) == (0x95, [])


def test_a_packet_of_just_the_largest_size_is_read() -> None:
    largest = publish("t", bytes(90), 1)
    assert len(largest) == 98
    assert _read([largest], Reader(98)) == ([Publish("t", bytes(90), None, None, 1)], "")
    assert "MQTT-3.1.2-24" in _read([largest], Reader(97))[1]


def test_a_topic_that_is_none_of_ours_by_its_length_is_not_kept() -> None:
    """Who sends is free in its response topic, and could fill the memory with such."""
    reader = Reader(PACKET_BYTES_MAX)
    answers = ["r" * 128, "r" * 129, "r" * 60_000]
    stream = b"".join(publish("t", b"p", 1, b"\x08" + text(answer)) for answer in answers)
    for _ in range(2):
        events, problem = _read([stream], reader)
        assert (events, problem) == ([Publish("t", b"p", one, None, 1) for one in answers], "")
    assert sorted(map(len, reader._names)) == [3, 130]


def test_nothing_is_read_after_an_error() -> None:
    reader = Reader(PACKET_BYTES_MAX)
    events: list[Event] = []
    with pytest.raises(ProtocolError):
        reader.feed(publish("t", b"before") + packet(0xF1, b"") + publish("t", b"after"), events)
    with pytest.raises(ProtocolError):
        reader.feed(publish("t", b"after"), events)
    assert events == [Publish("t", b"before", None, None, 1)]


def test_topics_that_never_come_again_are_not_kept_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reader_module, "NAMES_MAX", 10)
    reader = Reader(PACKET_BYTES_MAX)
    events: list[Event] = []
    for number in range(100):
        reader.feed(publish(f"t{number}", b""), events)
        assert len(reader._names) <= 11
    assert [event.topic for event in events if isinstance(event, Publish)] == [
        f"t{number}" for number in range(100)
    ]
