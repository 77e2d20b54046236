"""Cuffs with their makers' own layout on a characteristic of the profile."""

import pytest

from devices.reading import Outcome, Status
from tests.devices.sessions import ALL_READS, CUFF, local, numbers, raw, run

# Captured from a Beurer BM85: derdilla/blood-pressure-monitor-fl#735, #737.
BM85 = "56 7600 5000 0000 ea07 08 0b 14 1b 00 003c 00 0004"
STANDARD = "1e 8300 5200 6200 ea07 0b 16 08 1c 00 4700 01 2400"


def test_beurer_s_own_layout_is_read_as_beurer_means_it() -> None:
    [reading] = run("beurer_bm", raw(CUFF, BM85), unanswered=ALL_READS)
    assert numbers(reading) == {"systolic": 118, "diastolic": 80, "pulse": 60}
    assert reading.status == Status.IRREGULAR_PULSE
    assert (reading.slot, reading.device_time) == (0, local("2026-08-11 20:27:00"))
    assert reading.payload == BM85.replace(" ", "")


@pytest.mark.parametrize("name", ["blood_pressure", "silvercrest_sbm69"])
def test_beurer_s_own_layout_is_no_value_to_anybody_else(name: str) -> None:
    [reading] = run(name, raw(CUFF, BM85), unanswered=ALL_READS)
    assert (reading.outcome, reading.values) == (Outcome.UNREADABLE, ())
    assert reading.payload == BM85.replace(" ", "")


@pytest.mark.parametrize("name", ["blood_pressure", "beurer_bm", "silvercrest_sbm69"])
def test_record_by_the_profile_is_the_same_reading_whoever_reads_it(name: str) -> None:
    [reading] = run(name, raw(CUFF, STANDARD), unanswered=ALL_READS)
    assert [reading] == run("blood_pressure", raw(CUFF, STANDARD), unanswered=ALL_READS)
    assert numbers(reading)["pulse"] == 71


@pytest.mark.parametrize(
    "frame",
    [
        "16 ff07 ff07 ff07 e807 06 17 0e 23 0a ff07 0000",  # the profile's failure
        "1e" + bytes(range(0x80, 0x92)).hex(),
        "aa 55 01 02 03 04 05",
        "00" * 19,
        "",
    ],
)
def test_frame_of_the_maker_s_own_is_kept_raw_and_the_records_after_it_are_read(frame: str) -> None:
    kept, measured = run(
        "silvercrest_sbm69", raw(CUFF, frame), raw(CUFF, STANDARD, 1), unanswered=ALL_READS
    )
    assert (kept.outcome, kept.values) == (Outcome.UNREADABLE, ())
    assert kept.payload == frame.replace(" ", "")
    assert kept.problem is not None
    assert kept.problem.startswith("Blood Pressure Measurement of an SBM69: ")
    assert numbers(measured)["systolic"] == 131
