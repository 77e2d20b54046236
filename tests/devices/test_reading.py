"""A reading: its times, and the id it is known by."""

from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices import wire
from devices.reading import Reading, identify
from tests.devices.sessions import local
from tests.devices.test_wire import message


def test_reading_outside_utc_or_the_calendar_cannot_be_made() -> None:
    sound = wire.decode_message(message())[0].readings[0]
    fields = {name: getattr(sound, name) for name in sound.__struct_fields__}
    in_utc_by_name = sound.measured_at.replace(tzinfo=ZoneInfo("UTC"))
    assert Reading(**fields | {"measured_at": in_utc_by_name}) == sound
    for moment in (
        datetime(2026, 11, 22, 7, 30, tzinfo=ZoneInfo("Europe/Stockholm")),
        local("2026-11-22 07:30:00"),
        datetime(1969, 12, 31, tzinfo=UTC),
        datetime(2200, 1, 1, tzinfo=UTC),
    ):
        with pytest.raises(ValueError):
            Reading(**fields | {"received_at": moment})


def test_identity_is_laid_out_as_it_always_was() -> None:
    """Milliseconds, then sha256sum's digest of the fields between unit separators.

    A change here makes every stored record a new one.
    """
    known = identify(
        device_id="C4:11:22:33:44:55",
        device_time=local("2026-11-22 08:28:00"),
        received_at=datetime(2026, 11, 22, 7, 30, tzinfo=UTC),
        slot=1,
        payload=bytes.fromhex("1e8300"),
    )
    assert known == UUID("01a2025e-8a80-864e-b833-af6fc592f9a5")


@given(
    received_at=st.datetimes(local("1970-01-02"), local("2199-01-01")),
    device_time=st.none() | st.datetimes(local("1582-01-01")),
    slot=st.none() | st.integers(0, 255),
    payload=st.binary(max_size=512),
)
def test_identity_is_a_uuid_of_version_8_that_begins_with_its_time(
    received_at: datetime, device_time: datetime | None, slot: int | None, payload: bytes
) -> None:
    received_at = received_at.replace(tzinfo=UTC)
    known = identify(
        device_id="C4", device_time=device_time, received_at=received_at, slot=slot, payload=payload
    )
    assert (known.version, known.variant) == (8, "specified in RFC 4122")
    moment = received_at if device_time is None else device_time.replace(tzinfo=UTC)
    begins = max(0, (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1))
    assert abs((known.int >> 80) - begins) <= 1  # a double's rounding
    if device_time is not None:
        later = received_at + timedelta(days=1)
        assert known == identify(
            device_id="C4", device_time=device_time, received_at=later, slot=slot, payload=payload
        )
