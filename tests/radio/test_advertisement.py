"""Advertising data as the Core Specification Supplement lays it out."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.radio.advertisement import parse

BASE = "-0000-1000-8000-00805f9b34fb"


def test_both_parts_are_read_as_one() -> None:
    advertising = bytes.fromhex("020106" + "03031018" + "020af4")
    scan_response = bytes.fromhex("0509") + b"BP-1"
    seen = parse(advertising, scan_response, -70)
    assert seen.local_name == "BP-1"
    assert seen.service_uuids == [f"00001810{BASE}"]
    assert (seen.tx_power, seen.rssi) == (-12, -70)


def test_a_captured_mi_scale_frame_is_read() -> None:
    service_data = bytes.fromhex("0d161d18") + bytes.fromhex("229e43e507040b101301")
    seen = parse(bytes.fromhex("02010603021d18") + service_data, b"", -60)
    assert seen.service_data == {f"0000181d{BASE}": bytes.fromhex("229e43e507040b101301")}


def test_long_uuids_and_manufacturer_data_are_read() -> None:
    uuid = bytes.fromhex("00030000 78fc 48fe 8e23 433b3a1942d0")[::-1]
    seen = parse(b"\x11\x07" + uuid + bytes.fromhex("05ff4c000215"), b"", 0)
    assert seen.service_uuids == ["00030000-78fc-48fe-8e23-433b3a1942d0"]
    assert seen.manufacturer_data == {0x004C: b"\x02\x15"}


def test_a_complete_name_wins_over_a_shortened_one() -> None:
    assert parse(b"\x03\x09AB\x02\x08A", b"", 0).local_name == "AB"
    assert parse(b"\x02\x08A\x03\x09AB", b"", 0).local_name == "AB"


def test_what_stands_before_a_cut_structure_is_kept() -> None:
    seen = parse(b"\x03\x09AB\x09\x16\x1d", b"", 0)
    assert seen.local_name == "AB"
    assert seen.service_data == {}


def test_an_early_end_ends_the_data() -> None:
    assert parse(b"\x00\x03\x09AB", b"", 0).local_name is None


@given(st.binary(max_size=64), st.binary(max_size=64))
def test_any_bytes_are_taken(advertising: bytes, scan_response: bytes) -> None:
    seen = parse(advertising, scan_response, -1)
    assert all(len(uuid) == 36 for uuid in (*seen.service_uuids, *seen.service_data))
