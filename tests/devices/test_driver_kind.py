"""Which driver speaks to a device."""

import pytest

from devices.drivers import Advertisement, driver_for, driver_named, driver_names
from tests.devices.sessions import BASE, MI_V1, MI_V2, STOCKHOLM

CUFF_SERVICE = "00001810" + BASE
MOTION_SERVICE = "00030000-78fc-48fe-8e23-433b3a1942d0"
V1, V2 = bytes(10), bytes(13)


ADDRESS = "C4:00:00:00:00:01"


def kind(**said: object) -> str | None:
    found = driver_for(Advertisement(ADDRESS, **said), STOCKHOLM)  # type: ignore[arg-type]
    return found.name if found else None


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ({"service_uuids": (CUFF_SERVICE,)}, "blood_pressure"),
        ({"service_uuids": ("1810",)}, "blood_pressure"),
        (
            {"service_uuids": ("0000180F" + BASE.upper(), "00001810" + BASE.upper())},
            "blood_pressure",
        ),
        ({"service_uuids": (MI_V1,)}, "weight_scale"),
        ({"service_uuids": (MI_V2,)}, "weight_scale"),
        ({"service_data": {MI_V1: V1}}, "mi_scale_v1"),
        ({"service_data": {"181D": V1}}, "mi_scale_v1"),
        ({"service_data": {MI_V2: V2}}, "mi_scale_v2"),
        ({"service_data": {MI_V1: V1}, "service_uuids": (MI_V1, CUFF_SERVICE)}, "mi_scale_v1"),
        ({"service_uuids": (MOTION_SERVICE,)}, "infinitime"),
        ({"name": "InfiniTime"}, "infinitime"),
        ({"name": "MIBFS", "service_uuids": (MI_V2,)}, "mi_scale_v2"),
        ({"name": "MI_SCALE", "service_uuids": (MI_V1,)}, "mi_scale_v1"),
        ({"name": "UA-651BLE", "service_uuids": (CUFF_SERVICE,)}, "blood_pressure"),
    ],
)
def test_device_is_known_by_what_it_advertises(said: dict[str, object], name: str) -> None:
    assert kind(**said) == name


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"name": "InfiniTimer"},
        {"service_uuids": ("0000180f" + BASE,)},
        {"service_data": {MI_V1: V2}},  # another scale's own layout
        {"service_data": {MI_V2: b""}},
        {"service_data": {"0000fe95" + BASE: V1}},
    ],
)
def test_device_we_cannot_speak_to_is_left_alone(said: dict[str, object]) -> None:
    assert kind(**said) is None


def test_only_the_mi_scales_are_not_connected_to() -> None:
    kinds = {name: driver_named(name, STOCKHOLM) for name in driver_names()}
    assert {name: known.advertised_source for name, known in kinds.items()} == {
        "mi_scale_v1": MI_V1,
        "mi_scale_v2": MI_V2,
        "infinitime": None,
        "blood_pressure": None,
        "beurer_bm": None,
        "silvercrest_sbm69": None,
        "weight_scale": None,
    }
    assert [name for name, known in kinds.items() if not known.connects] == [
        "mi_scale_v1",
        "mi_scale_v2",
    ]


def test_only_the_watch_is_left_alone_after_a_visit() -> None:
    revisits = {name: driver_named(name, STOCKHOLM).revisit_s for name in driver_names()}
    assert {name: wait for name, wait in revisits.items() if wait} == {"infinitime": 1800}


def test_name_from_the_inbox_gives_the_kind_back() -> None:
    found = driver_for(Advertisement("C4:00:00:00:00:01", service_uuids=("1810",)), STOCKHOLM)
    assert found is not None
    assert driver_named(found.name, STOCKHOLM) == found


def test_model_that_is_known_is_believed_before_the_advertisement() -> None:
    said = Advertisement(ADDRESS, "MI_SCALE", ("1810",))
    found = driver_for(said, STOCKHOLM, "beurer_bm85")
    assert found is not None
    assert (found.name, found.model.name) == ("beurer_bm", "beurer_bm85")


@pytest.mark.parametrize("name", ["", "a_model_of_next_year"])
def test_model_nobody_knows_leaves_it_to_the_advertisement(name: str) -> None:
    found = driver_for(Advertisement(ADDRESS, "MI_SCALE", ("1810",)), STOCKHOLM, name)
    assert found is not None
    assert found.model.name == "mi_scale_v1"


def test_unknown_name_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="no driver is called 'omron'; there are mi_scale_v1"):
        driver_named("omron", STOCKHOLM)


def test_every_session_has_a_driver_of_its_own() -> None:
    cuff = driver_named("blood_pressure", STOCKHOLM)
    assert cuff.new("C4:00:00:00:00:01") is not cuff.new("C4:00:00:00:00:01")
