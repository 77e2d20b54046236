"""Third-party packages of devices, installed as pip does it."""

import sys
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from devices.drivers import Advertisement, driver_for, driver_named, driver_names, kind
from devices.models import model_named, models, table
from devices.wire import ConditionCode
from gateway.health import Health
from gateway.plugins import load, load_and_tell

ZONE = ZoneInfo("Europe/Stockholm")

GOOD = """
from devices.drivers import DevicePackage
from devices.drivers.weight_scale import WeightScaleDriver
from devices.models import Model, Pairing, Tried


class KitchenScale(WeightScaleDriver):
    pass


PACKAGE = DevicePackage(
    models=(
        Model(
            name="acme_kitchen",
            title="Acme kitchen scale",
            driver="acme",
            advertised_names=("ACME-K",),
            pairing=Pairing.NONE,
            tried=Tried.REAL,
            source="Acme, protocol sheet 7",
        ),
        Model(
            name="acme_cuff",
            title="Acme cuff",
            driver="blood_pressure",
            advertised_prefixes=("ACME-C",),
            tried=Tried.REAL,
            source="Acme, protocol sheet 8",
        ),
    ),
    drivers={"acme": KitchenScale},
)
NUMBER = 7
"""


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a directory that packages can be installed into; what they add is taken out again."""
    monkeypatch.setattr(table, "_registered", list(table._registered))
    monkeypatch.setattr(kind, "_DRIVERS", dict(kind._DRIVERS))
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("acme"):
            del sys.modules[name]


def install(into: Path, name: str, code: str, value: str = "PACKAGE") -> None:
    (into / f"{name}.py").write_text(code, encoding="utf-8")
    metadata = into / f"{name}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[egenmonitor.devices]\n{name} = {name}:{value}\n")


def test_package_adds_a_model_and_its_driver(packages: Path) -> None:
    install(packages, "acme_good", GOOD)
    assert load() == {}
    found = driver_for(Advertisement("C4:00:00:00:00:01", "ACME-K"), ZONE)
    assert found is not None
    assert (found.name, found.model.title) == ("acme", "Acme kitchen scale")
    # And a replay of its raw values finds the driver by name.
    assert type(driver_named("acme", ZONE).new("C4:00:00:00:00:01")).__name__ == "KitchenScale"
    assert driver_names()[-1] == "acme"


def test_package_may_add_a_row_for_a_driver_of_ours(packages: Path) -> None:
    install(packages, "acme_good", GOOD)
    load()
    found = driver_for(Advertisement("C4:00:00:00:00:01", "ACME-C-0815"), ZONE)
    assert found is not None
    assert (found.name, found.model.name) == ("blood_pressure", "acme_cuff")


def test_loading_again_changes_nothing(packages: Path) -> None:
    install(packages, "acme_good", GOOD)
    load()
    before = models()
    assert load() == {}
    assert models() == before


BROKEN = {
    "cannot be imported": "import there_is_no_such_module",
    "fails": "1 / 0",
    "exits": "raise SystemExit(3)",
    "is no package": "PACKAGE = 7",
    "names nothing": "",
    "takes a name of ours": GOOD.replace("acme_kitchen", "standard_cuff"),
    "takes a driver of ours": GOOD.replace('"acme"', '"weight_scale"'),
    "has a driver nobody made": GOOD.replace('drivers={"acme": KitchenScale}', "drivers={}"),
    "has a driver without a model": GOOD.replace("{", '{"other": KitchenScale, ', 1),
    "has a driver that cannot be called": GOOD.replace(": KitchenScale}", ": 7}"),
    "has a model that cannot be": GOOD.replace("acme_kitchen", "Acme Kitchen"),
    "has a row that is none": GOOD.replace("models=(", "models=(7,"),
}


@pytest.mark.parametrize("code", BROKEN.values(), ids=BROKEN)
def test_broken_package_is_named_and_stops_none_of_the_others(packages: Path, code: str) -> None:
    install(packages, "acme_broken", code)
    install(packages, "acme_good", GOOD)
    health = Health()
    load_and_tell(health)
    (condition,) = health.conditions
    assert condition.code == ConditionCode.PACKAGE_BROKEN.value
    assert "acme_broken" in health.problems[0]
    assert model_named("acme_kitchen") is not None
    assert "acme" in driver_names()


@pytest.mark.parametrize("code", BROKEN.values(), ids=BROKEN)
def test_broken_package_adds_nothing_of_itself(packages: Path, code: str) -> None:
    before = (models(), driver_names())
    install(packages, "acme_broken", code)
    assert set(load()) == {"acme_broken"}
    assert (models(), driver_names()) == before


def test_two_packages_that_name_the_same_are_not_mixed(packages: Path) -> None:
    install(packages, "acme_a", GOOD)
    install(packages, "acme_b", GOOD.replace("Acme kitchen scale", "Another scale"))
    assert set(load()) == {"acme_b"}
    assert driver_for(Advertisement("C4:00:00:00:00:01", "ACME-K"), ZONE) is not None
    found = model_named("acme_kitchen")
    assert found is not None
    assert found.title == "Acme kitchen scale"
