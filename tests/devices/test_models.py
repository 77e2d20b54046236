"""The table of models: what it says, and that each row does what it says."""

from collections import Counter
from pathlib import Path
from typing import Any, Final

import pytest

from devices.drivers import Advertisement, SetClock, driver_for, driver_names
from devices.gatt import uuids
from devices.models import Model, Pairing, Tried, model_named, model_of, models, register, table
from devices.models.document import BEGIN, END, FILE, updated, write
from devices.reading import Outcome
from tests.devices.conversation import Device, converse
from tests.devices.sessions import BASE, CUFF, DEVICE, MI_V1, MI_V2, STEPS, STOCKHOLM, WEIGHT

DOCUMENT: Final = Path(__file__).parent.parent.parent / "docs" / FILE
CUFF_SERVICE = "00001810" + BASE
PLAIN: Final[dict[str, Any]] = {
    "name": "acme",
    "title": "Acme",
    "driver": "blood_pressure",
    "tried": Tried.REAL,
    "source": "sheet 7",
}


def known(name: str | None = None, *services: str, **data: bytes) -> str | None:
    found = model_of(Advertisement(DEVICE, name, services, data))
    return found.name if found else None


@pytest.mark.parametrize(
    ("name", "services", "model"),
    [
        ("A&D_UA-651BLE_0A1B2C", (), "and_ua651ble"),
        ("A&D_UC-352BLE_0A1B2C", (), "and_uc352ble"),
        ("Beurer BM85", (CUFF_SERVICE,), "beurer_bm85"),
        ("BM 59", (CUFF_SERVICE,), "beurer_bm85"),
        ("BM57", (CUFF_SERVICE,), "beurer_bm"),
        ("BF720", (MI_V1,), "beurer_bf"),
        ("BF950", (), "beurer_bf"),
        ("SBF77", (), "beurer_bf"),
        ("1872B", (CUFF_SERVICE,), "medisana_bu5xx"),
        ("BLEsmart_0000016028FFB2735FEF", ("1810",), "omron_hem7xxx"),
        ("BLESmart_000000B5C424E8238F68", ("1810",), "omron_hem7xxx"),
        ("X4 Smart", (CUFF_SERVICE,), "omron_hem7xxx"),
        ("SBM69", (CUFF_SERVICE,), "silvercrest_sbm69"),
        ("MI_SCALE", (), "mi_scale_v1"),
        ("MIBFS", (MI_V2,), "mi_scale_v2"),
        ("InfiniTime", (), "infinitime"),
        ("Some cuff", ("1810",), "standard_cuff"),
        (None, (MI_V1,), "standard_scale"),
        ("Pinetime-JF", ("00030000-78fc-48fe-8e23-433b3a1942d0",), "standard_watch"),
        # A name's beginning alone does not make a cuff of it.
        ("BMS-LiFePo4", (), None),
        ("BMW", ("180f",), None),
        # The maker's own protocol, as HEM-7188T1 advertises it.
        ("X2 Connect", ("0000fe4a" + BASE,), None),
        ("BLESmart_0000025828FFB20591B5", ("ecbe3980-c9a2-11e1-b1bd-0002a5d5c51b",), None),
        (None, (), None),
        ("", (), None),
    ],
)
def test_device_is_known_by_its_name_and_services(
    name: str | None, services: tuple[str, ...], model: str | None
) -> None:
    assert known(name, *services) == model


def test_name_is_believed_before_services_that_linux_remembers() -> None:
    assert known("A&D_UA-651BLE_1", MI_V1, MI_V2) == "and_ua651ble"
    assert known("BF720", CUFF_SERVICE) == "beurer_bf"


def test_service_data_of_another_scale_is_not_a_mi_scale() -> None:
    # A Beurer BF720 advertises one byte under the same UUID (KristianP26/ble-scale-sync#168).
    assert known("BF720", MI_V1, **{MI_V1: b"\1"}) == "beurer_bf"
    assert known(None, MI_V1, **{MI_V1: b"\1"}) == "standard_scale"
    assert known(None, MI_V1, **{MI_V1: bytes(10)}) == "mi_scale_v1"


def test_rows_are_whole() -> None:
    assert max(Counter(model.name for model in models()).values()) == 1
    assert {model.driver for model in models()} == set(driver_names())
    for model in models():
        assert model.source
        assert model.quirks, model.name
        if model.pairing is not Pairing.NONE:
            assert model.how_to_pair_sv.endswith("."), model.name
            assert model.how_to_pair_en.endswith("."), model.name
        shows = (model.advertised_names, model.advertised_prefixes, model.services)
        assert any(shows) or model.advertised_source, model.name


def test_no_row_claims_a_device_nobody_here_has_held() -> None:
    assert Tried.REAL not in {model.tried for model in models()}


def test_models_that_the_field_notes_name_are_what_they_say() -> None:
    by_name = {model.name: model for model in models()}
    assert by_name["and_ua651ble"].pairs_before_discovery
    assert by_name["beurer_bf"].pairing is Pairing.PASSKEY
    assert by_name["silvercrest_sbm69"].pairing is Pairing.PASSKEY
    assert by_name["silvercrest_sbm69"].vendor_frames == (CUFF,)
    assert by_name["beurer_bf"].consent
    assert not by_name["mi_scale_v1"].connects
    assert by_name["infinitime"].revisit_s == 1800


PAYLOADS: Final = {
    "blood_pressure": (CUFF, "1e 8300 5200 6200 ea07 0b 16 08 0c 00 4700 01 2400"),
    "beurer_bm": (CUFF, "56 7600 5000 0000 ea07 08 0b 14 1b 00 003c 00 0004"),
    "silvercrest_sbm69": (CUFF, "1e 8300 5200 6200 ea07 0b 16 08 0c 00 4700 01 2400"),
    "weight_scale": (WEIGHT, "0e 783e ea07050c123536 01 ee00 2607"),
    "infinitime": (STEPS, "e8030000"),
}


@pytest.mark.parametrize(
    "model", [each for each in models() if each.connects], ids=lambda m: m.name
)
def test_row_s_device_is_served_as_its_row_says(model: Model) -> None:
    """What ``Tried.SIMULATED`` says: its clock where the row has it, consent where it wants one."""
    source, payload = PAYLOADS[model.driver]
    device = Device(
        {source: [payload]},
        clock_off_s=-960,
        clocks=model.clocks[-1:],
        answers={"01": "20010102", "02": "200201"} if model.consent else {},
    )
    found = driver_for(Advertisement(DEVICE), STOCKHOLM, model.name)
    assert found is not None
    driver = found.new(DEVICE)
    session = converse(driver, device)
    [reading] = session.readings
    assert reading.outcome is Outcome.MEASURED
    asked = {request.characteristic for request in session.requests}
    assert asked.issuperset(model.clocks)
    assert (device.clock_off_s == 0) is model.sets_clock
    assert any(isinstance(request, SetClock) for request in session.requests) is model.sets_clock
    assert (driver.notes.memory.get("user_slot") == "2") is model.consent


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"name": ""}, "a name is"),
        ({"name": "Acme Cuff"}, "a name is"),
        ({"name": "a" * 65}, "a name is"),
        ({"name": "acme\n"}, "a name is"),
        ({"title": ""}, "title is missing"),
        ({"source": ""}, "source is missing"),
        ({"driver": ""}, "driver is missing"),
        ({"services": ("1810",)}, "UUIDs are written in full"),
        ({"vendor_frames": (CUFF.upper(),)}, "UUIDs are written in full"),
        ({"clocks": (uuids.BATTERY_LEVEL,)}, "a clock is"),
        ({"advertised_source": MI_V1}, "go together"),
        ({"advertised_bytes": 10}, "go together"),
    ],
)
def test_row_that_cannot_be_is_refused(wrong: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Model(**PLAIN | wrong)


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> list[Model]:
    """Take out again what a test registers."""
    rows = list(table._registered)
    monkeypatch.setattr(table, "_registered", rows)
    return rows


def test_row_of_others_comes_before_ours(registered: list[Model]) -> None:
    register([Model(**PLAIN | {"advertised_names": ("SBM69",)})])
    assert known("SBM69") == "acme"
    assert len(registered) == 1


def test_rows_are_added_all_or_none(registered: list[Model]) -> None:
    rows = [Model(**PLAIN), Model(**PLAIN | {"name": "standard_cuff"})]
    with pytest.raises(ValueError, match="another model called 'standard_cuff'"):
        register(rows)
    with pytest.raises(ValueError, match="another model called 'acme'"):
        register([Model(**PLAIN), Model(**PLAIN | {"title": "Other"})])
    assert registered == []
    assert model_named("acme") is None


def test_same_row_again_changes_nothing(registered: list[Model]) -> None:
    register([Model(**PLAIN), Model(**PLAIN)])
    register([Model(**PLAIN)])
    assert registered == [Model(**PLAIN)]


def test_there_is_an_end_to_others_rows(registered: list[Model]) -> None:
    rows = [Model(**PLAIN | {"name": f"acme{each}"}) for each in range(table.REGISTERED_MAX)]
    register(rows)
    with pytest.raises(ValueError, match="more than 500 models"):
        register([Model(**PLAIN)])
    assert len(registered) == table.REGISTERED_MAX


def test_document_says_what_the_table_says() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert updated(text) == text, "stale: run `make docs`"


def test_document_is_written_between_its_markers_only(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(
        f"# Before\n{BEGIN}\nstale words\n{END}\nafter\n", encoding="utf-8"
    )
    write(tmp_path)
    text = (tmp_path / FILE).read_text(encoding="utf-8")
    assert text.startswith("# Before\n")
    assert text.endswith(f"{END}\nafter\n")
    assert "stale words" not in text
    for model in models():
        assert f"| {model.title} | `{model.name}` |" in text
        assert model.quirks in text
    with pytest.raises(ValueError, match="a marker is missing"):
        updated("nothing")
