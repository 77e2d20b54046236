"""A scale that delivers after a user's consent only."""

from collections.abc import Mapping
from typing import Final

import pytest

from devices.drivers import Driver, RawValue, Subscribe, Write, driver_for
from devices.drivers.user_data import REGISTRATIONS_MAX
from devices.gatt import uuids
from devices.gatt.user_control_point import UserControlRequest
from devices.models import Advertisement
from tests.devices.conversation import Device, converse, replay
from tests.devices.sessions import COMPOSITION, DEVICE, NOW, STOCKHOLM, WEIGHT, numbers

POINT = uuids.USER_CONTROL_POINT
WEIGHED = "0e 783e ea07050c123536 01 ee00 2607"  # captured from a Beurer BF720: 79.96 kg, user 1
KNOWN: Final = {"user_slot": "1", "user_code": "8229", "user_registrations": "1"}
CONSENT = "02012520"  # captured from a BF500: user 1, code 8229
REGISTERED, TAKEN, REFUSED = "20010103", "200201", "200205"


def scale(memory: Mapping[str, str] | None = None) -> Driver:
    found = driver_for(Advertisement(DEVICE, "BF720"), STOCKHOLM)
    assert found is not None
    return found.new(DEVICE, memory or {})


def device(**answers: str) -> Device:
    """Return a scale that answers to registering and to consent."""
    said = {{"register": "01", "consent": "02"}[what]: answer for what, answer in answers.items()}
    return Device({WEIGHT: [WEIGHED], COMPOSITION: []}, answers=said)


def written(session: Device) -> list[str]:
    return [each[:2] for each in session.written]


def test_registers_once_and_gives_consent_for_the_slot_it_got() -> None:
    told, driver = device(register=REGISTERED, consent=TAKEN), scale()
    [reading] = converse(driver, told).readings
    register, consent = (UserControlRequest.decode(bytes.fromhex(each)) for each in told.written)
    assert (consent.slot, consent.code) == (3, register.code)
    assert driver.notes.memory == {
        "user_slot": "3",
        "user_code": str(register.code),
        "user_registrations": "1",
    }
    assert numbers(reading) == {"body_weight": 79.96}


def test_gives_the_stored_consent_and_registers_nobody() -> None:
    told, driver = device(consent=TAKEN), scale(KNOWN)
    converse(driver, told)
    assert told.written == [CONSENT]
    assert driver.notes.memory == KNOWN


def test_next_session_gives_what_the_last_one_was_told() -> None:
    first = scale()
    converse(first, device(register=REGISTERED, consent=TAKEN))
    told = device(consent=TAKEN)
    converse(scale(first.notes.memory), told)
    assert written(told) == ["02"]


def test_measurements_are_subscribed_to_before_anything_is_asked() -> None:
    session = converse(scale(), device(register=REGISTERED, consent=TAKEN))
    assert session.requests[:3] == [Subscribe(WEIGHT), Subscribe(COMPOSITION), Subscribe(POINT)]


def test_refused_consent_registers_anew_once_and_then_never_more() -> None:
    told, driver = device(register=REGISTERED, consent=REFUSED), scale(KNOWN)
    converse(driver, told)
    # Consent refused, registered anew, and the new one refused too: that is the end of it.
    assert written(told) == ["02", "01", "02"]
    assert driver.notes.memory == {"user_registrations": str(REGISTRATIONS_MAX)}
    again = device(register=REGISTERED, consent=TAKEN)
    converse(scale(driver.notes.memory), again)
    assert again.written == []


@pytest.mark.parametrize("answer", ["200204", "200202", "", "200201ff", "ff"])
def test_consent_that_fails_otherwise_costs_no_slot(answer: str) -> None:
    told, driver = device(consent=answer), scale(KNOWN)
    converse(driver, told)
    assert written(told) == ["02"]
    assert driver.notes.memory == KNOWN


@pytest.mark.parametrize("answer", ["200104", "200102", "200105"])
def test_registration_that_is_refused_is_not_counted(answer: str) -> None:
    told, driver = device(register=answer), scale()
    [reading] = converse(driver, told).readings
    assert written(told) == ["01"]
    assert driver.notes.memory == {"user_registrations": "0"}
    assert numbers(reading) == {"body_weight": 79.96}


def test_registration_whose_write_fails_is_counted() -> None:
    """It may have been done at the scale; asked again each time it would fill all slots."""
    memory: Mapping[str, str] = {}
    asked: list[str] = []
    for _ in range(10):
        told, driver = Device({WEIGHT: [WEIGHED], POINT: []}), scale(memory)
        [reading] = converse(driver, told).readings
        assert numbers(reading) == {"body_weight": 79.96}
        asked += written(told)
        memory = driver.notes.memory
    assert asked == ["01"] * REGISTRATIONS_MAX
    assert memory == {"user_registrations": str(REGISTRATIONS_MAX)}


@pytest.mark.parametrize(
    ("answer", "registrations", "slot"), [(REGISTERED, "1", "3"), ("200104", "0", None)]
)
def test_answer_to_a_registration_whose_write_timed_out_is_taken(
    answer: str, registrations: str, slot: str | None
) -> None:
    driver = scale()
    driver.connected()
    [register] = [each for each in driver.asks() if isinstance(each, Write)]
    driver.unanswered(register)
    assert driver.asks() == ()
    driver.received(RawValue(POINT, bytes.fromhex(answer), NOW))
    driver.received(RawValue(POINT, bytes.fromhex(answer), NOW))  # said twice, counted once
    assert driver.notes.memory["user_registrations"] == registrations
    assert driver.notes.memory.get("user_slot") == slot


def test_consent_that_cannot_be_written_costs_nothing() -> None:
    told, driver = Device({WEIGHT: [WEIGHED], POINT: []}), scale(KNOWN)
    converse(driver, told)
    assert told.written == [CONSENT]
    assert driver.notes.memory == KNOWN


def test_registration_whose_answer_is_lost_is_counted() -> None:
    """The scale may have given a slot away: without an end all of them would go."""
    memory: Mapping[str, str] = {}
    asked = 0
    for _ in range(10):
        driver = scale(memory)
        driver.connected()
        asked += len([each for each in driver.asks() if isinstance(each, Write)])
        memory = driver.notes.memory  # and the link is lost
    assert asked == REGISTRATIONS_MAX


def test_next_procedure_waits_for_the_end_of_the_one_before() -> None:
    driver = scale()
    driver.connected()
    [register] = [each for each in driver.asks() if isinstance(each, Write)]
    assert driver.asks() == ()
    driver.received(RawValue(POINT, bytes.fromhex(REFUSED), NOW))  # to what nobody asked
    assert driver.asks() == ()
    driver.received(RawValue(POINT, bytes.fromhex(REGISTERED), NOW))
    [consent] = driver.asks()
    assert isinstance(consent, Write)
    assert consent.payload == bytes.fromhex("0203") + register.payload[1:]


def test_scale_without_a_control_point_is_asked_nothing_of_it() -> None:
    told, driver = Device({WEIGHT: [WEIGHED]}), scale()
    [reading] = converse(driver, told).readings
    assert told.written == []
    assert driver.notes.memory == {}
    assert numbers(reading) == {"body_weight": 79.96}


@pytest.mark.parametrize(
    "memory",
    [
        {"user_slot": "255", "user_code": "1"},
        {"user_slot": "1", "user_code": "10000"},
        {"user_slot": "-1", "user_code": "1"},
        {"user_slot": "1"},
        {"user_slot": "٣", "user_code": "1"},
        {"user_slot": "9" * 5000, "user_code": "1"},
    ],
)
def test_memory_that_cannot_be_is_none(memory: dict[str, str]) -> None:
    told = device(register=REGISTERED, consent=TAKEN)
    converse(scale(memory), told)
    assert written(told) == ["01", "02"]


def test_what_others_keep_in_the_memory_is_kept() -> None:
    driver = scale({"other": "thing"})
    converse(driver, device(register=REGISTERED, consent=TAKEN))
    assert driver.notes.memory["other"] == "thing"
    found = driver_for(Advertisement(DEVICE, "SBM69"), STOCKHOLM)
    assert found is not None
    assert found.new(DEVICE, KNOWN).notes.memory == KNOWN


def test_scale_made_without_users_is_not_asked() -> None:
    found = driver_for(Advertisement(DEVICE, "A&D_UC-352BLE_1"), STOCKHOLM)
    assert found is not None
    told = Device({WEIGHT: [WEIGHED], POINT: []})
    assert Subscribe(POINT) not in converse(found.new(DEVICE), told).requests


def test_code_of_a_scale_is_always_the_same_and_another_scale_s_another() -> None:
    found = driver_for(Advertisement(DEVICE, "BF720"), STOCKHOLM)
    assert found is not None
    codes = []
    for device_id in (DEVICE, DEVICE, "C4:00:00:00:00:01"):
        told = device(register=REGISTERED, consent=TAKEN)
        converse(found.new(device_id), told)
        codes.append(told.written[0])
    assert codes[0] == codes[1] != codes[2]


def test_replay_gives_the_same_readings_and_asks_nothing() -> None:
    session = converse(scale(), device(register=REGISTERED, consent=TAKEN))
    assert replay(scale(KNOWN), session) == session.readings
