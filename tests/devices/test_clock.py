"""Where a device's own time lies."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.clock import AHEAD_MAX_S, CLOCK_OFF_MAX_S, offset, place, place_untimed
from devices.reading import ClockVerdict, Outcome, Reading, identify
from tests.devices.sessions import local

STOCKHOLM = ZoneInfo("Europe/Stockholm")
SUNDAY = datetime(2026, 11, 22, 7, 30, tzinfo=UTC)  # 08:30 in Stockholm


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_record_without_a_time_is_of_when_it_was_received() -> None:
    assert place(None, STOCKHOLM, None, SUNDAY) == (SUNDAY, ClockVerdict.ABSENT, None)


def test_offset_of_the_clock_is_told_of_a_record_without_a_time_too() -> None:
    assert place(None, STOCKHOLM, 90.0, SUNDAY) == (SUNDAY, ClockVerdict.ABSENT, 90.0)


def test_offset_is_how_far_the_device_is_ahead() -> None:
    assert offset(local("2026-11-22 08:31:30.5"), STOCKHOLM, SUNDAY) == 90.5
    assert offset(local("2026-11-22 07:30:00"), STOCKHOLM, SUNDAY) == -3600


@pytest.mark.parametrize(("offset_s", "verdict"), [(300.0, "ok"), (-300.0, "ok")])
def test_clock_off_by_at_most_five_minutes_is_sound_and_corrected(
    offset_s: float, verdict: str
) -> None:
    read_at = SUNDAY + timedelta(minutes=10)
    placement = place(local("2026-11-22 08:30:00"), STOCKHOLM, offset_s, read_at)
    assert placement == (SUNDAY - timedelta(seconds=offset_s), verdict, offset_s)


@pytest.mark.parametrize("offset_s", [300.5, -300.5, -16 * 60, 86_400])
def test_clock_off_by_more_is_corrected_and_said_so(offset_s: float) -> None:
    device_time = local("2026-11-22 08:30:00") + timedelta(seconds=offset_s)
    placement = place(device_time, STOCKHOLM, offset_s, SUNDAY)
    assert placement == (SUNDAY, ClockVerdict.CORRECTED, offset_s)


def test_record_of_a_clock_that_was_never_set_is_placed_by_its_age() -> None:
    device_clock, device_time = local("1970-01-03 10:00:00"), local("1970-01-03 09:00:00")
    offset_s = offset(device_clock, STOCKHOLM, SUNDAY)
    placement = place(device_time, STOCKHOLM, offset_s, SUNDAY)
    assert placement == (SUNDAY - timedelta(hours=1), ClockVerdict.CORRECTED, offset_s)


def test_clock_left_on_summer_time_places_a_record_of_either_side_by_its_age() -> None:
    received_at = utc("2026-10-26 07:00:00")  # 08:00 in winter time, and the device says 09:00
    offset_s = offset(local("2026-10-26 09:00:00"), STOCKHOLM, received_at)
    before = place(local("2026-10-24 09:00:00"), STOCKHOLM, offset_s, received_at)
    assert before.measured_at == utc("2026-10-24 07:00:00")
    after = place(local("2026-10-26 08:30:00"), STOCKHOLM, offset_s, received_at)
    assert after.measured_at == utc("2026-10-26 06:30:00")


def test_sound_clock_places_a_record_of_before_the_change_in_summer_time() -> None:
    received_at = utc("2026-10-26 07:00:00")
    placement = place(local("2026-10-24 09:00:00"), STOCKHOLM, 2.0, received_at)
    assert placement.measured_at == utc("2026-10-24 06:59:58")


def test_device_without_a_clock_to_compare_is_believed() -> None:
    received_at = utc("2026-11-22 07:40:00")
    placement = place(local("2026-11-22 08:30:00"), STOCKHOLM, None, received_at)
    assert placement == (SUNDAY, ClockVerdict.UNCHECKED, None)


@pytest.mark.parametrize("ahead_s", [600, 599])
def test_ten_minutes_ahead_is_still_believed(ahead_s: int) -> None:
    device_time = local("2026-11-22 08:30:00") + timedelta(seconds=ahead_s)
    placement = place(device_time, STOCKHOLM, None, SUNDAY)
    assert placement.measured_at == SUNDAY + timedelta(seconds=ahead_s)
    assert placement.verdict is ClockVerdict.UNCHECKED


@pytest.mark.parametrize(
    "text",
    ["2026-11-22 08:40:01", "2094-01-01 00:00:00", "1999-12-31 23:59:59", "1970-01-01 00:10:00"],
)
def test_time_that_cannot_be_is_not_believed(text: str) -> None:
    placement = place(local(text), STOCKHOLM, None, SUNDAY)
    assert placement == (SUNDAY, ClockVerdict.IMPLAUSIBLE, None)


def test_record_older_than_the_last_setting_of_the_clock_is_not_believed() -> None:
    """The clock fell back to 1970 after the record was made: corrected, it lies in 2083."""
    offset_s = offset(local("1970-01-01 01:00:00"), STOCKHOLM, SUNDAY)
    placement = place(local("2026-11-20 08:00:00"), STOCKHOLM, offset_s, SUNDAY)
    assert placement == (SUNDAY, ClockVerdict.IMPLAUSIBLE, offset_s)


@pytest.mark.parametrize(
    ("text", "offset_s"), [("9999-12-31 23:59:59", -1e9), ("1582-01-01", 9e10)]
)
def test_correction_beyond_the_calendar_is_not_believed(text: str, offset_s: float) -> None:
    placement = place(local(text), STOCKHOLM, offset_s, SUNDAY)
    assert placement == (SUNDAY, ClockVerdict.IMPLAUSIBLE, offset_s)


@pytest.mark.parametrize("off_s", [-301, 301, -177_187_259, 3600])
def test_live_record_with_a_wrong_clock_is_of_now(off_s: int) -> None:
    device_time = local("2026-11-22 08:30:00") + timedelta(seconds=off_s)
    placement = place(device_time, STOCKHOLM, None, SUNDAY, live=True)
    assert placement == (SUNDAY, ClockVerdict.CORRECTED, float(off_s))


@pytest.mark.parametrize("off_s", [-300, -7, 0, 300])
def test_live_record_with_a_fair_clock_keeps_its_time(off_s: int) -> None:
    device_time = local("2026-11-22 08:30:00") + timedelta(seconds=off_s)
    placement = place(device_time, STOCKHOLM, None, SUNDAY, live=True)
    assert placement == (SUNDAY + timedelta(seconds=off_s), ClockVerdict.UNCHECKED, None)


@pytest.mark.parametrize(
    ("received", "measured"),
    [
        ("2026-10-25 07:00:00", "2026-10-25 01:30:00"),  # both are past: the later
        ("2026-10-25 00:35:00", "2026-10-25 00:30:00"),  # only the first has come yet
        ("2026-10-25 01:25:00", "2026-10-25 01:30:00"),  # 5 minutes ahead is drift
        ("2026-10-25 01:19:00", "2026-10-25 00:30:00"),  # 11 minutes ahead is not
    ],
)
def test_time_that_comes_twice_is_the_latest_that_can_be(received: str, measured: str) -> None:
    placement = place(local("2026-10-25 02:30:00"), STOCKHOLM, None, utc(received))
    assert placement.measured_at == utc(measured)


@pytest.mark.parametrize(
    ("received", "measured"),
    [
        ("2027-03-28 07:00:00", "2027-03-28 01:30:00"),  # as from a clock not put forward
        ("2027-03-28 00:40:00", "2027-03-28 00:30:00"),
    ],
)
def test_time_that_does_not_exist_is_placed_all_the_same(received: str, measured: str) -> None:
    placement = place(local("2027-03-28 02:30:00"), STOCKHOLM, None, utc(received))
    assert placement.measured_at == utc(measured)


@given(
    device_time=st.none() | st.datetimes(local("1582-01-01")),
    offset_s=st.none() | st.floats(-3.2e11, 3.2e11),
    received_at=st.datetimes(local("1970-01-02"), local("2199-12-31")),
    live=st.booleans(),
    zone=st.sampled_from(("Europe/Stockholm", "Pacific/Kiritimati", "Pacific/Pago_Pago")),
)
def test_every_record_is_placed_and_never_far_ahead(
    *,
    device_time: datetime | None,
    offset_s: float | None,
    received_at: datetime,
    live: bool,
    zone: str,
) -> None:
    received_at = received_at.replace(tzinfo=UTC)
    measured_at, verdict, _ = place(device_time, ZoneInfo(zone), offset_s, received_at, live=live)
    assert measured_at.utcoffset() == timedelta()
    assert measured_at <= received_at + timedelta(minutes=10)
    if measured_at != received_at:
        assert measured_at.year >= 2000
        assert verdict in {ClockVerdict.OK, ClockVerdict.CORRECTED, ClockVerdict.UNCHECKED}


YESTERDAY = SUNDAY - timedelta(days=1)  # had certainly passed; SUNDAY is the latest possible


def untimed(
    device_time: datetime | None,
    *,
    offset_s: float | None = None,
    clock: ClockVerdict = ClockVerdict.UNCHECKED,
) -> Reading:
    """Return a reading of a gateway without a clock, as its driver left it, placed anew."""
    reading = Reading(
        reading_id=identify(
            device_id="D", device_time=device_time, received_at=SUNDAY, slot=None, payload=b"1"
        ),
        device_id="D",
        source="2a35",
        payload="01",
        outcome=Outcome.FAILED,
        measured_at=YESTERDAY,
        received_at=SUNDAY,
        clock=clock,
        device_time=device_time,
        clock_offset_s=offset_s,
    )
    return place_untimed(reading, STOCKHOLM, YESTERDAY)


@pytest.mark.parametrize(
    ("offset_s", "is_believed"),
    [
        (CLOCK_OFF_MAX_S, True),
        (CLOCK_OFF_MAX_S + 1, False),
        (-86_400 - CLOCK_OFF_MAX_S, True),
        (-86_400 - CLOCK_OFF_MAX_S - 1, False),
    ],
)
def test_without_a_gateways_clock_a_device_clock_is_believed_if_it_can_have_been_right(
    offset_s: float, *, is_believed: bool
) -> None:
    device_time = local("2026-11-21 20:00:00")
    placed = untimed(device_time, offset_s=offset_s, clock=ClockVerdict.CORRECTED)
    assert placed.clock_offset_s is None
    if is_believed:
        assert (placed.clock, placed.measured_at) == ("unchecked", utc("2026-11-21 19:00:00"))
    else:
        assert (placed.clock, placed.measured_at) == ("unknown", SUNDAY)


def test_without_a_gateways_clock_a_record_is_believed_where_there_is_nothing_to_compare() -> None:
    placed = untimed(local("2026-11-01 20:00:00"))
    assert (placed.clock, placed.measured_at) == ("unchecked", utc("2026-11-01 19:00:00"))
    later = SUNDAY.astimezone(STOCKHOLM).replace(tzinfo=None) + timedelta(seconds=AHEAD_MAX_S + 1)
    assert untimed(later).clock == "unknown"


def test_without_any_clock_nobody_knows_when_it_was() -> None:
    assert untimed(None, clock=ClockVerdict.ABSENT).clock == "unknown"
    assert untimed(local("1970-01-01 00:00:00"), clock=ClockVerdict.IMPLAUSIBLE).clock == "unknown"
    in_between = untimed(None, offset_s=-3600.0, clock=ClockVerdict.ABSENT)
    assert (in_between.clock, in_between.measured_at) == ("unknown", SUNDAY)
