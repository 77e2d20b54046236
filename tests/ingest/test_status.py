"""What a gateway said last, what has changed since, and what cannot be read."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices import wire
from devices.wire import (
    Bond,
    Condition,
    DeviceStatus,
    GatewayState,
    GatewayStatus,
    PairingStatus,
    PairingStep,
    RadioStep,
    TopicKind,
    topic,
)
from ingest.quarantine import Reason, Refused
from ingest.status import SILENT_AFTER, Known, Said, battery_lowest, changes, know, read

T = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
CUFF = "C4:00:00:00:00:01"


def status(state: GatewayState = GatewayState.ONLINE, **more: Any) -> GatewayStatus:
    return GatewayStatus(v=1, gateway="g-test", state=state, **more)


def said(one: GatewayStatus, minutes: float = 0, *, is_retained: bool = False) -> Said:
    return Said("g-test", one, is_retained, T + timedelta(minutes=minutes))


def told(*story: Said) -> tuple[Known, list[str]]:
    """Return what is known after a story, and the kinds of the lines of its last message."""
    known: Known | None = None
    lines: list[str] = []
    for one in story:
        before, known = known, know(known, one)
        lines = [change.kind.value for change in changes(before, known)]
    assert known is not None
    return known, lines


def test_a_message_is_read_only_from_its_own_topic() -> None:
    encoded = wire.encode_status(status())
    good = read(topic("g-test", TopicKind.STATUS), encoded, T, is_retained=False)
    assert good == said(status())
    other = read(topic("g-other", TopicKind.STATUS), encoded, T, is_retained=False)
    assert isinstance(other, Refused)
    assert (other.reason, other.gateway_id) == (Reason.GATEWAY_MISMATCH, "g-other")


@pytest.mark.parametrize(
    ("name", "payload", "reason"),
    [
        ("egenmonitor/v1/g-test/status", b"", Reason.MALFORMED_MESSAGE),
        ("egenmonitor/v1/g-test/status", b"{}", Reason.MALFORMED_MESSAGE),
        ("egenmonitor/v1/g-test/status", b'{"v":2}', Reason.UNSUPPORTED_VERSION),
        ("egenmonitor/v1/g-test/status", b'{"v":1,"gateway":"g","state":"?"}', "malformed_message"),
        ("egenmonitor/v1/status", b"{}", Reason.MALFORMED_MESSAGE),
        ("egenmonitor/v1/a b/status", b"{}", Reason.MALFORMED_MESSAGE),
        ("", b"{}", Reason.MALFORMED_MESSAGE),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_reason(
    name: str, payload: bytes, reason: str
) -> None:
    row = read(name, payload, T, is_retained=False)
    assert isinstance(row, Refused)
    assert row.reason == reason
    assert row.content == payload
    again = read(name, payload + b" ", T, is_retained=False)
    assert isinstance(again, Refused)
    assert again.fingerprint() == row.fingerprint()  # one row for each gateway and reason


@given(st.text(max_size=80), st.binary(max_size=300))
def test_reading_is_total(name: str, payload: bytes) -> None:
    assert isinstance(read(name, payload, T, is_retained=False), Refused | Said)


def test_the_first_word_is_noted() -> None:
    known, lines = told(said(status(version="2026.11.0")))
    assert known.received_at == T
    assert lines == ["first_heard", "state", "version"]


def test_a_heartbeat_that_tells_nothing_new_is_no_line() -> None:
    known, lines = told(said(status(at=T, outbox=1)), said(status(at=T, outbox=9), 1))
    assert known.received_at == T + timedelta(minutes=1)
    assert lines == []


def test_a_last_will_takes_nothing_away() -> None:
    """Silence is counted from the gateway's own last word."""
    device = DeviceStatus(device_id=CUFF, battery_percent=80)
    known, lines = told(
        said(status(devices=(device,))),
        said(GatewayStatus(v=1, gateway="g-test", state=GatewayState.LOST), 3),
    )
    assert known.received_at == T
    assert (known.state, known.state_at) == (GatewayState.LOST, T + timedelta(minutes=3))
    assert known.status is not None
    assert known.status.devices == (device,)
    assert lines == ["state"]


def test_a_gateway_that_said_goodbye_is_not_lost() -> None:
    lost = GatewayStatus(v=1, gateway="g-test", state=GatewayState.LOST)
    known, lines = told(said(status(GatewayState.STOPPED)), said(lost, 1))
    assert (known.state, lines) == (GatewayState.STOPPED, [])


def test_a_gateway_known_by_its_last_will_alone_was_never_heard() -> None:
    known, _ = told(said(GatewayStatus(v=1, gateway="g-test", state=GatewayState.LOST)))
    assert known.received_at is None


def test_what_the_broker_retained_is_as_old_as_it_says() -> None:
    known, _ = told(said(status(at=T - timedelta(hours=2)), is_retained=True))
    assert known.received_at == T - timedelta(hours=2)
    known, _ = told(said(status(at=T + timedelta(days=1)), is_retained=True))
    assert known.received_at == T  # not later than it came
    known, _ = told(said(status(), is_retained=True))
    assert known.received_at == datetime(1970, 1, 1, tzinfo=UTC)


def test_what_the_broker_retained_is_no_news_if_it_was_stored_before() -> None:
    first = said(status(at=T, outbox=1))
    known, lines = told(first, said(status(at=T, outbox=1), 9, is_retained=True))
    assert (known.received_at, lines) == (T, [])
    newer = said(status(at=T + timedelta(minutes=8), outbox=2), 9, is_retained=True)
    known, _ = told(first, newer)
    assert known.received_at == T + timedelta(minutes=8)


def test_what_the_broker_retained_takes_no_newer_word_back() -> None:
    """A broker that was put back from a backup says what was true then."""
    for at in (T - timedelta(hours=1), None):
        old = status(at=at, state=GatewayState.STOPPED, outbox=7)
        known, lines = told(said(status(at=T, outbox=1)), said(old, 9, is_retained=True))
        assert known.status is not None
        assert (known.state, known.status.outbox, lines) == (GatewayState.ONLINE, 1, [])


def test_the_time_it_was_heard_never_goes_back() -> None:
    """A box whose clock jumps must not look silent."""
    early = status(at=T + timedelta(seconds=1), outbox=1)
    known, _ = told(said(status(at=T), 10), said(early, 12, is_retained=True))
    assert known.received_at == T + timedelta(minutes=10)


def test_an_end_of_silence_is_noted_with_its_length() -> None:
    quiet = SILENT_AFTER.total_seconds() / 60
    _, lines = told(said(status()), said(status(), quiet))
    assert lines == []
    before, _ = told(said(status()))
    after = know(before, said(status(), quiet + 1))
    assert [(one.kind, one.detail) for one in changes(before, after)] == [
        ("heard_again", {"minutes": 16})
    ]


LOW = DeviceStatus(device_id=CUFF, battery_percent=20)
PAIRING = PairingStatus(request_id="p1", step=PairingStep.MEASURE, device_id=CUFF)
DIFFERENCES: list[tuple[dict[str, Any], dict[str, Any], list[str]]] = [
    ({"started_at": T}, {"started_at": T + timedelta(hours=1)}, ["started"]),
    ({"version": "1"}, {"version": "2"}, ["version"]),
    ({}, {"conditions": (Condition(code="radio_lost"),)}, ["condition"]),
    ({"conditions": (Condition(code="radio_lost"),)}, {}, ["solved"]),
    (
        {"conditions": (Condition(code="bond_lost", device_id=CUFF),)},
        {"conditions": (Condition(code="bond_lost", device_id="C5"),)},
        ["condition", "solved"],
    ),
    (
        {"radio_steps": (RadioStep(at=T, step="scanner_restarted"),)},
        {
            "radio_steps": (
                RadioStep(at=T, step="scanner_restarted"),
                RadioStep(at=T + timedelta(minutes=5), step="adapter_power_cycled"),
            )
        },
        ["radio_step"],
    ),
    ({"config_version": 1}, {"config_version": 2}, ["config"]),
    ({}, {"config_refused": "older"}, ["config_refused"]),
    ({"config_refused": "older"}, {}, []),
    ({}, {"pairing": PAIRING}, ["pairing"]),
    ({"pairing": PAIRING}, {"pairing": PAIRING}, []),
    ({}, {"devices": (DeviceStatus(device_id=CUFF, bond=Bond.LOST),)}, ["bond"]),
    ({}, {"devices": (LOW,)}, ["battery_low"]),
    ({"devices": (LOW,)}, {"devices": (LOW,)}, []),
    ({"certificate_until": T}, {"certificate_until": T + timedelta(days=90)}, ["certificate"]),
]


@pytest.mark.parametrize(("before", "after", "expected"), DIFFERENCES)
def test_each_difference_a_person_would_see_is_one_line(
    before: dict[str, Any], after: dict[str, Any], expected: list[str]
) -> None:
    _, lines = told(said(status(**before)), said(status(**after), 1))
    assert lines == expected


def test_the_lowest_battery_is_found() -> None:
    devices = (LOW, DeviceStatus(device_id="C5", battery_percent=90), DeviceStatus(device_id="C6"))
    assert battery_lowest(status(devices=devices)) == 20
    assert battery_lowest(status()) is None
