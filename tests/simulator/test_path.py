"""The lamps light in the order of the way, with the times of the facts."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from simulator.tester.measurement import Measurement
from simulator.tester.path import Lamp, LogEntry, State, Stored, Trace, lamps
from simulator.tester.words import duration

PRESSED = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)


def after(milliseconds: int) -> datetime:
    return PRESSED + timedelta(milliseconds=milliseconds)


def measurement(*, confirmed_ms: int | None = None) -> Measurement:
    return Measurement(
        reading_id=uuid4(),
        device_id="C4:5E:1D:00:01:00",
        payload=b"",
        patient="Kalle Testberg",
        nurse="Anna Provberg",
        device="blodtrycksmätare",
        shows="192/112 mmHg",
        by_tester=True,
        pressed_at=PRESSED,
        confirmed_at=None if confirmed_ms is None else after(confirmed_ms),
    )


def stored(outcome: str = "measured", suspicion: int = 0) -> Stored:
    return Stored(
        received_at=after(1400),
        sent_at=after(1450),
        arrived_at=after(1460),
        stored_at=after(1500),
        outcome=outcome,
        suspicion=suspicion,
    )


def alerted(*log: LogEntry) -> Trace:
    return Trace(stored=stored(), level=2, found_at=after(1495), log=log)


def states(row: tuple[Lamp, ...]) -> str:
    letters = {State.LIT: "L", State.WAITING: "w", State.DARK: "d", State.STOPPED: "S"}
    return "".join(letters[lamp.state] for lamp in row)


def test_a_lamp_stands_for_each_station_in_order() -> None:
    names = [lamp.name for lamp in lamps(measurement(), Trace())]
    assert names == ["Mätare", "Dosa", "MQTT", "Mottagning", "Regler", "Larm", "Sköterska"]


def test_only_the_device_is_lit_until_the_gateway_has_it() -> None:
    assert states(lamps(measurement(), Trace())) == "Lwwwwww"


def test_the_gateway_is_lit_by_the_device_s_own_word_before_the_database_knows() -> None:
    row = lamps(measurement(confirmed_ms=1410), Trace())
    assert states(row) == "LLwwwww"
    assert row[1].after_ms == 1410


def test_a_high_reading_lights_every_lamp_at_growing_times() -> None:
    log = (
        LogEntry("opened", after(1496), None),
        LogEntry("routed", after(1520), None),
        LogEntry("shown", after(1560), "Anna Provberg"),
    )
    row = lamps(measurement(confirmed_ms=1410), alerted(*log))
    assert states(row) == "LLLLLLL"
    times = [lamp.after_ms for lamp in row if lamp.after_ms is not None]
    assert times == [0, 1400, 1450, 1460, 1495, 1496, 1560]
    assert "Anna Provberg" in row[6].note


def test_the_nurse_s_lamp_waits_for_an_open_worklist_and_says_so() -> None:
    log = (LogEntry("opened", after(1496), None), LogEntry("routed", after(1520), None))
    row = lamps(measurement(), alerted(*log))
    assert states(row) == "LLLLLLw"
    assert "arbetslista" in row[6].note


def test_an_alert_she_already_has_before_her_is_not_given_a_time_it_did_not_take() -> None:
    log = (
        LogEntry("opened", after(-60_000), None),
        LogEntry("shown", after(-59_000), "Anna Provberg"),
        LogEntry("joined", after(1496), None),
    )
    row = lamps(measurement(), alerted(*log))
    assert states(row) == "LLLLLLL"
    assert row[5].after_ms == 1496
    assert row[6].after_ms is None
    assert "redan" in row[6].note


def test_a_value_within_limits_needs_no_alert() -> None:
    row = lamps(measurement(), Trace(stored=stored()))
    assert states(row) == "LLLLLdd"


def test_a_failed_measurement_is_stored_without_a_value() -> None:
    row = lamps(measurement(), Trace(stored=stored(outcome="failed")))
    assert states(row) == "LLLLLdd"
    assert "misslyckad" in row[4].note


def test_a_doubtful_value_says_so() -> None:
    row = lamps(measurement(), Trace(stored=stored(suspicion=16)))
    assert "tveksam" in row[4].note


def test_a_refusal_stops_at_the_door() -> None:
    row = lamps(measurement(confirmed_ms=1410), Trace(refused=("implausible", after(1470))))
    assert states(row) == "LLLSddd"
    assert row[3].after_ms == 1470


def test_durations_read_as_people_write_them() -> None:
    assert duration(85) == "85 ms"
    assert duration(3412) == "3\N{NO-BREAK SPACE}412 ms"
    assert duration(125_000) == "2 min 5 s"
