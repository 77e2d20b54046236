"""What makes a fault, from when, and which of many are one. Pure."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from alerts.fleet.gateway import Gateway, Urgency
from alerts.technical.fault import (
    COMMON_GATEWAYS_MIN,
    FAILURES_OF_DEVICE,
    REFUSED_DAY_MIN,
    WAITED,
    Fault,
    Heard,
    Kind,
    Refused,
    of_failures,
    of_gateway,
    of_incident,
    of_refused,
    urgency,
    with_common_cause,
)
from devices.wire import (
    Bond,
    Condition,
    ConditionCode,
    DeviceStatus,
    GatewayState,
    GatewayStatus,
)

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
CUFF = "C4:00:00:00:00:01"


def gateway(*, minutes: float | None = 1, **said: Any) -> Gateway:
    status = GatewayStatus(v=1, gateway="g", state=GatewayState.ONLINE, **said)
    return Gateway(
        gateway_id="g",
        registered_at=NOW - timedelta(days=9),
        received_at=None if minutes is None else NOW - timedelta(minutes=minutes),
        status=None if minutes is None else status,
    )


def condition(code: str, device_id: str | None = None) -> dict[str, Any]:
    return {"conditions": (Condition(code=code, device_id=device_id),)}


def device(**more: Any) -> dict[str, Any]:
    return {"devices": (DeviceStatus(device_id=CUFF, **more),)}


CASES: dict[str, tuple[dict[str, Any], list[tuple[Kind, str]]]] = {
    "well": ({}, []),
    "silent": ({"minutes": 15.1}, [(Kind.SILENT_GATEWAY, "g")]),
    "quiet for a quarter of an hour": ({"minutes": 15}, []),
    "never heard": ({"minutes": None}, [(Kind.NEVER_HEARD, "g")]),
    "low battery": (device(battery_percent=20), [(Kind.LOW_BATTERY, f"g:{CUFF}")]),
    "good battery": (device(battery_percent=21), []),
    "lost bond, told twice": (
        device(bond=Bond.LOST) | condition(ConditionCode.BOND_LOST, CUFF),
        [(Kind.LOST_BOND, f"g:{CUFF}")],
    ),
    "device's clock fast": (device(clock_offset_s=301.0), [(Kind.CLOCK_OFF, f"g:{CUFF}")]),
    "device's clock slow": (device(clock_offset_s=-3600.0), [(Kind.CLOCK_OFF, f"g:{CUFF}")]),
    "device's clock a little off": (device(clock_offset_s=300.0), []),
    "device's clock was set": (device(clock_offset_s=3600.0, clock_set=True), []),
    "device's clock cannot be set": (
        device(clock_offset_s=3600.0, clock_set=False),
        [(Kind.CLOCK_OFF, f"g:{CUFF}")],
    ),
    "gateway's clock": (condition(ConditionCode.CLOCK_DOUBTED), [(Kind.CLOCK_OFF, "g")]),
    "certificate ends": (
        {"certificate_until": NOW + timedelta(days=14)},
        [(Kind.CERTIFICATE_EXPIRES, "g")],
    ),
    "certificate ended, told twice": (
        {"certificate_until": NOW} | condition(ConditionCode.CERTIFICATE_EXPIRED),
        [(Kind.CERTIFICATE_EXPIRES, "g")],
    ),
    "old queue": (
        {"outbox": 1, "oldest_at": NOW - timedelta(minutes=61)},
        [(Kind.OUTBOX_GROWS, "g")],
    ),
    "full storage": (
        condition(ConditionCode.STORAGE_FULL),
        [(Kind.CONDITION, "g:storage_full")],
    ),
    "never paired": (
        condition(ConditionCode.NOT_PAIRED, CUFF),
        [(Kind.CONDITION, f"g:not_paired:{CUFF}")],
    ),
    "a word of a newer gateway": (condition("x"), [(Kind.CONDITION, "g:x")]),
    "the broker was away": (condition(ConditionCode.BROKER_AWAY), []),
    "a part began anew": (condition(ConditionCode.PART_RESTARTED), []),
    # Its last word was good: the queue of a minute is not old because nobody tells of it.
    "silent with a young queue": (
        {"minutes": 90, "outbox": 1, "oldest_at": NOW - timedelta(minutes=91)},
        [(Kind.SILENT_GATEWAY, "g")],
    ),
    "silent with what was wrong before": (
        {"minutes": 90, **device(battery_percent=1)},
        [(Kind.SILENT_GATEWAY, "g"), (Kind.LOW_BATTERY, f"g:{CUFF}")],
    ),
    "silent, and its certificate ended since": (
        {"minutes": 90, "certificate_until": NOW - timedelta(minutes=1)},
        [(Kind.SILENT_GATEWAY, "g"), (Kind.CERTIFICATE_EXPIRES, "g")],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_gateways_faults(case: str) -> None:
    facts, expected = CASES[case]
    assert [(one.kind, one.key) for one in of_gateway(gateway(**facts), NOW)] == expected


def test_a_new_gateway_is_not_late_yet() -> None:
    new = Gateway(gateway_id="g", registered_at=NOW - timedelta(minutes=14))
    assert of_gateway(new, NOW) == []


def test_a_gateway_out_of_use_has_no_faults() -> None:
    retired = Gateway(gateway_id="g", registered_at=NOW - timedelta(days=9), retired_at=NOW)
    assert of_gateway(retired, NOW) == []


@pytest.mark.parametrize(
    ("reason", "waiting", "lately", "is_told"),
    [
        ("unassigned", 1, 0, True),  # somebody measures, and nobody sees it
        ("ambiguous_loan", 1, 1, True),
        ("unknown_gateway", 1, 0, True),
        ("implausible", 9, REFUSED_DAY_MIN - 1, False),
        ("implausible", 9, REFUSED_DAY_MIN, True),
        ("unassigned", 0, 0, False),
    ],
)
def test_refused_readings_become_a_fault(
    reason: str, waiting: int, lately: int, *, is_told: bool
) -> None:
    faults = of_refused([Refused("g", True, reason, waiting, lately)])
    assert [one.key for one in faults] == ([f"g:{reason}"] if is_told else [])


def test_a_gateway_that_nobody_knows_is_named_in_the_words_only() -> None:
    (fault,) = of_refused([Refused("g-x", False, "unknown_gateway", 4, 4)])
    assert fault.gateway_id is None
    assert fault.detail["unknown_gateway"] == "g-x"
    assert fault.detail["readings"] == 4


def test_many_failures_are_the_devices() -> None:
    assert of_failures(1, CUFF, "g", FAILURES_OF_DEVICE - 1) is None
    fault = of_failures(1, CUFF, "g", FAILURES_OF_DEVICE)
    assert fault is not None
    assert (fault.kind, fault.device_id, fault.patient_id) == (Kind.FAILED_MEASUREMENTS, CUFF, 1)
    assert "1" not in str(fault.detail)  # whose they are is not for a technician


def test_an_incident_of_the_server_is_urgent() -> None:
    fault = of_incident("canary", "", "stored: not seen in 60 s")
    assert (fault.key, fault.urgency) == ("canary:", Urgency.NOW)


SILENT = [Fault(kind=Kind.SILENT_GATEWAY, key=str(n), urgency=Urgency.NOW) for n in range(60)]
BATTERY = Fault(kind=Kind.LOW_BATTERY, key="b")


@pytest.mark.parametrize(
    ("gateways", "silent", "is_common"),
    [
        (20, 10, True),
        (21, 10, False),  # less than half
        (COMMON_GATEWAYS_MIN - 1, COMMON_GATEWAYS_MIN - 1, False),  # so few are homes
        (5_000, 4_000, True),
        (0, 0, False),
    ],
)
def test_what_most_share_is_one_fault(gateways: int, silent: int, *, is_common: bool) -> None:
    faults = [*SILENT[:silent], BATTERY]
    found = with_common_cause(faults, Heard(gateways, silent))
    if is_common:
        assert [one.key for one in found.faults] == ["all_silent", "b"]
        assert len(found.covered) == min(silent, 60)
    else:
        assert list(found.faults) == faults
        assert not found.covered


def test_what_nobody_takes_becomes_urgent() -> None:
    opened = NOW - WAITED
    later = NOW + timedelta(seconds=1)
    assert urgency(Urgency.SOON, opened, None, NOW) is Urgency.SOON
    assert urgency(Urgency.SOON, opened, None, later) is Urgency.NOW
    assert urgency(Urgency.SOON, opened, later, later) is Urgency.SOON
    assert urgency(Urgency.NOW, opened, later, later) is Urgency.NOW
