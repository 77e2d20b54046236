"""How urgent a gateway is, and the words for everything that can be told of it."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from alerts.fleet import words
from alerts.fleet.actions import Answer, address
from alerts.fleet.gateway import Gateway, Reason, Trouble, Urgency
from devices.models import models
from devices.wire import (
    LENT_MAX,
    Bond,
    Condition,
    ConditionCode,
    DeviceStatus,
    GatewayState,
    GatewayStatus,
    PairingStep,
)
from gateway.pairing import Failure
from ingest.status import Kind

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
CUFF = "C4:00:00:00:00:01"


def gateway(*, minutes: float | None = 1, **more: Any) -> Gateway:
    """Return a gateway that was heard so many minutes ago and says *more*."""
    own = {name: more.pop(name) for name in list(more) if name in Gateway.__dataclass_fields__}
    status = GatewayStatus(v=1, gateway="g", state=GatewayState.ONLINE, **more)
    return Gateway(
        gateway_id="g",
        registered_at=own.pop("registered_at", NOW - timedelta(days=9)),
        received_at=None if minutes is None else NOW - timedelta(minutes=minutes),
        status=None if minutes is None else status,
        **own,
    )


def device(**more: Any) -> tuple[DeviceStatus, ...]:
    return (DeviceStatus(device_id=CUFF, **more),)


CASES: dict[str, tuple[dict[str, Any], Urgency, list[str]]] = {
    "well": ({}, Urgency.NONE, []),
    "heard just in time": ({"minutes": 15}, Urgency.NONE, []),
    "silent": ({"minutes": 15.1}, Urgency.NOW, [Reason.SILENT]),
    "never heard": ({"minutes": None}, Urgency.SOON, [Reason.NEVER_HEARD]),
    "new": (
        {"minutes": None, "registered_at": NOW - timedelta(minutes=14)},
        Urgency.EXPECTED,
        [Reason.NEVER_HEARD],
    ),
    "retired": ({"minutes": 9000, "retired_at": NOW}, Urgency.NONE, []),
    "no radio": (
        {"conditions": (Condition(code=ConditionCode.RADIO_LOST),)},
        Urgency.NOW,
        [ConditionCode.RADIO_LOST],
    ),
    "unknown condition": ({"conditions": (Condition(code="x"),)}, Urgency.SOON, ["x"]),
    "battery low": ({"devices": device(battery_percent=20)}, Urgency.SOON, [Reason.BATTERY_LOW]),
    "battery good": ({"devices": device(battery_percent=21)}, Urgency.NONE, []),
    "bond lost, told twice": (
        {
            "devices": device(bond=Bond.LOST),
            "conditions": (Condition(code=ConditionCode.BOND_LOST, device_id=CUFF),),
        },
        Urgency.SOON,
        [Reason.BOND_LOST],
    ),
    "certificate over": ({"certificate_until": NOW}, Urgency.NOW, [Reason.CERTIFICATE_OVER]),
    "certificate soon": (
        {"certificate_until": NOW + timedelta(days=14)},
        Urgency.SOON,
        [Reason.CERTIFICATE_SOON],
    ),
    "certificate good": ({"certificate_until": NOW + timedelta(days=15)}, Urgency.NONE, []),
    "old queue": (
        {"outbox": 1, "oldest_at": NOW - timedelta(minutes=61)},
        Urgency.SOON,
        [Reason.QUEUE_OLD],
    ),
    "queue": ({"outbox": 9, "oldest_at": NOW - timedelta(minutes=59)}, Urgency.NONE, []),
    "configuration late": (
        {"config_version": 2, "config_made_at": NOW - timedelta(minutes=16)},
        Urgency.SOON,
        [Reason.CONFIG_LATE],
    ),
    "configuration on its way": (
        {"config_version": 2, "config_made_at": NOW - timedelta(minutes=14)},
        Urgency.NONE,
        [],
    ),
    "unreadable": ({"unreadable": 3}, Urgency.SOON, [Reason.STATUS_UNREADABLE]),
    "a full list": ({"lent": dict.fromkeys(map(str, range(LENT_MAX)), "")}, Urgency.NONE, []),
    "too long a list": (
        {"lent": dict.fromkeys(map(str, range(LENT_MAX + 1)), "")},
        Urgency.NOW,
        [Reason.LIST_TOO_LONG],
    ),
    "worst first": (
        {"minutes": 60, "devices": device(battery_percent=1)},
        Urgency.NOW,
        [Reason.SILENT, Reason.BATTERY_LOW],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_urgency_follows_from_what_is_wrong(case: str) -> None:
    facts, urgency, reasons = CASES[case]
    one = gateway(**facts)
    assert one.urgency(NOW) is urgency
    assert [trouble.what for trouble in one.troubles(NOW)] == reasons


UNKNOWN = words.trouble(Trouble(Urgency.SOON, "x")).cure


@pytest.mark.parametrize("code", [*ConditionCode, *Reason])
def test_everything_that_can_be_wrong_has_swedish_words_and_a_cure(code: str) -> None:
    told = words.trouble(Trouble(Urgency.SOON, code))
    assert told.cure != UNKNOWN
    assert told.what.endswith(".")
    assert told.cure.endswith(".")
    assert str(code) not in told.what


def test_a_newer_gateways_condition_is_told_by_its_code() -> None:
    assert "brand_new" in words.trouble(Trouble(Urgency.SOON, "brand_new")).what


@pytest.mark.parametrize("failure", Failure)
def test_every_way_a_pairing_can_fail_has_words(failure: Failure) -> None:
    """The pages cannot import the gateway; its words are held to be known here."""
    assert failure.value in words.FAILURES


@pytest.mark.parametrize("step", PairingStep)
def test_every_step_of_a_pairing_has_words(step: PairingStep) -> None:
    assert words.PAIRING_STEPS[step]


@pytest.mark.parametrize("answer", set(Answer) - {Answer.DONE})
def test_every_answer_has_words(answer: Answer) -> None:
    assert words.ANSWERS[answer].endswith(".")


def test_every_title_is_swedish() -> None:
    english = re.compile(r"\b(and|the|of|others|watch|with|any)\b", re.IGNORECASE)
    assert [title for one in models() if english.search(title := words.title(one.name))] == []


DETAIL = {
    "state": "lost",
    "minutes": 20,
    "to": "2026.11.0",
    "code": "radio_lost",
    "device_id": CUFF,
    "step": "done",
    "version": 3,
    "problem": "older",
    "bond": "lost",
    "percent": 12,
    "until": "2027-02-01T00:00:00+00:00",
    "model": "mi_scale_v2",
    "staff_id": 1,
}


@pytest.mark.parametrize(
    "kind",
    [*Kind, "lent", "returned", "pairing_asked", "pairing_cancelled", "code_made", "revoked"],
)
def test_every_line_of_history_has_words(kind: str) -> None:
    told = words.event(kind, DETAIL)
    assert told != kind
    assert "{" not in told
    assert words.event(kind, {})  # a line of another version, with less in it


def test_lines_of_history_say_what_happened() -> None:
    assert words.event("bond", {"bond": "lost", "device_id": CUFF}) == (
        f"Måste paras ihop igen: {CUFF}"
    )
    assert words.event("pairing", {"step": "failed", "problem": "expired"}) == (
        "Ihopparning: Tiden gick ut. Försök igen."
    )
    assert words.event("radio_step", {"step": "given_up"}).startswith("Inget hjälpte")
    assert words.event("of a newer version", {}) == "of a newer version"


@pytest.mark.parametrize(
    ("offset_s", "was_set", "told"),
    [
        (None, None, "Inte avläst"),
        (-59.0, None, "Rätt"),
        (90.0, False, "Går 2 min före"),
        (-3700.0, True, "Gick 62 min efter. Ställd"),
        (10_800.0, None, "Går 3 tim före"),
        (-863_000.0, None, "Går 10 dygn efter"),
    ],
)
def test_how_a_clock_goes(offset_s: float | None, was_set: bool | None, told: str) -> None:
    one = DeviceStatus(device_id=CUFF, clock_offset_s=offset_s, clock_set=was_set)
    assert words.device_clock(one) == told


@pytest.mark.parametrize(
    "typed", ["C4:64:E3:00:00:01", "c464e3000001", " c4-64-e3-00-00-01 ", "C4 64 E3 00 00 01"]
)
def test_an_address_may_be_typed_as_people_do(typed: str) -> None:
    assert address(typed) == "C4:64:E3:00:00:01"


@pytest.mark.parametrize("typed", ["", "C4:64:E3:00:00", "C4:64:E3:00:00:0G", "Märta", "C" * 13])
def test_what_is_no_address_is_none(typed: str) -> None:
    assert address(typed) is None
