"""A visit to a watch."""

from datetime import timedelta

from devices.drivers import Read, Subscribe
from devices.reading import ClockVerdict, Outcome
from tests.devices.sessions import BATTERY, CURRENT_TIME, NOW, STEPS, driver, numbers, raw, run


def steps(count: int) -> str:
    return count.to_bytes(4, "little").hex()


def test_subscribes_then_reads() -> None:
    assert driver("infinitime").connected() == (
        Subscribe(STEPS),
        Read(STEPS),
        Read(CURRENT_TIME),
        Read(BATTERY),
    )


def test_total_is_a_reading_of_the_moment_it_was_received() -> None:
    [reading] = run("infinitime", raw(STEPS, steps(4321)), raw(BATTERY, "5a"))
    assert numbers(reading) == {"steps": 4321.0}
    assert reading.values[0].unit == "{steps}/d"
    assert (reading.measured_at, reading.clock) == (NOW, ClockVerdict.ABSENT)
    assert (reading.source, reading.battery_percent) == (STEPS, 90)


def test_first_total_does_not_wait_for_the_end() -> None:
    session = driver("infinitime")
    session.unanswered(Read(CURRENT_TIME))
    session.unanswered(Read(BATTERY))
    assert len(session.received(raw(STEPS, steps(10)))) == 1


def test_walk_during_a_visit_is_two_readings_however_long() -> None:
    walk = [raw(STEPS, steps(100 + second), second) for second in range(50)]
    first, last = run("infinitime", *walk)
    assert (numbers(first), numbers(last)) == ({"steps": 100}, {"steps": 149})
    assert last.measured_at == NOW + timedelta(seconds=49)
    assert first.reading_id != last.reading_id


def test_total_told_again_is_one_reading() -> None:
    readings = run("infinitime", raw(STEPS, steps(100)), raw(STEPS, steps(100), 2))
    assert len(readings) == 1


def test_finishing_twice_tells_nothing_twice() -> None:
    session = driver("infinitime")
    session.received(raw(STEPS, steps(1)))
    session.received(raw(STEPS, steps(2)))
    assert len(session.finished()) == 2
    assert session.finished() == []


def test_total_that_falls_at_midnight_is_told_as_it_is() -> None:
    first, last = run("infinitime", raw(STEPS, steps(9000)), raw(STEPS, steps(0), 2))
    assert (numbers(first), numbers(last)) == ({"steps": 9000}, {"steps": 0})


def test_same_total_at_the_next_visit_is_another_reading() -> None:
    [one] = run("infinitime", raw(STEPS, steps(100)))
    [two] = run("infinitime", raw(STEPS, steps(100), 1800))
    assert one.reading_id != two.reading_id


def test_bytes_that_cannot_be_read_are_kept_whole_once() -> None:
    bad = [raw(STEPS, "0102", second) for second in range(3)]
    [reading] = run("infinitime", *bad)
    assert (reading.outcome, reading.payload) == (Outcome.UNREADABLE, "0102")
