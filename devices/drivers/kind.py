"""Which driver speaks to a device: the one table of drivers, by what is advertised."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final
from zoneinfo import ZoneInfo

from devices.drivers.blood_pressure import BloodPressureDriver, beurer_bm, silvercrest_sbm69
from devices.drivers.driver import Driver
from devices.drivers.infinitime import InfiniTimeDriver
from devices.drivers.mi_scale import mi_scale_v1, mi_scale_v2, tells_v1, tells_v2
from devices.drivers.weight_scale import WeightScaleDriver
from devices.models import Advertisement, Model, model_named, model_of, models, register

# Makes the driver of one session: device id, where the device is, its model, and what an earlier
# session's driver asked to be remembered.
Make = Callable[[str, ZoneInfo, Model, Mapping[str, str]], Driver]


@dataclass(frozen=True, slots=True, kw_only=True)
class DevicePackage:
    """What a third-party package adds: models, and drivers where those here do not do.

    Attributes:
        models: Rows of the table.
        drivers: By name. The inbox remembers a driver by it: it is never changed.
    """

    models: tuple[Model, ...]
    drivers: Mapping[str, Make] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DriverKind:
    """A kind of device, and how its driver is made.

    Attributes:
        name: What the gateway's inbox remembers it by: the driver's name, not the model's.
        model: The row of the models' table.
        zone: Where the device is: it tells local time.
    """

    name: str
    model: Model
    zone: ZoneInfo
    make: Make

    @property
    def connects(self) -> bool:
        """Whether to connect; if not, its advertisements say all."""
        return self.model.connects

    @property
    def revisit_s(self) -> float:
        """How long to leave the device alone after a visit; see ``Model``."""
        return self.model.revisit_s

    @property
    def advertised_source(self) -> str | None:
        """UUID of the service data to keep, full and lower case."""
        return self.model.advertised_source

    def is_frame(self, payload: bytes) -> bool:
        """Return whether service data of ``advertised_source`` is as long as this model's is."""
        return len(payload) == self.model.advertised_bytes

    def tells(self, payload: bytes) -> bool:
        """Return whether a frame may become a reading; one that may not need not be kept."""
        tells = _TELLS.get(self.name)
        return tells is None or tells(payload)

    def new(self, device_id: str, memory: Mapping[str, str] = {}) -> Driver:
        """Return a driver for one session with *device_id*.

        *memory* is what its last session's ``notes.memory`` asked to be kept.
        """
        return self.make(device_id, self.zone, self.model, memory)


_DRIVERS: Final[dict[str, Make]] = {
    "mi_scale_v1": mi_scale_v1,
    "mi_scale_v2": mi_scale_v2,
    "infinitime": InfiniTimeDriver,
    "blood_pressure": BloodPressureDriver,
    "beurer_bm": beurer_bm,
    "silvercrest_sbm69": silvercrest_sbm69,
    "weight_scale": WeightScaleDriver,
}

# By driver, where most of what is advertised says nothing.
_TELLS: Final[Mapping[str, Callable[[bytes], bool]]] = {
    "mi_scale_v1": tells_v1,
    "mi_scale_v2": tells_v2,
}


def driver_names() -> tuple[str, ...]:
    """Return the names of all drivers."""
    return tuple(_DRIVERS)


def add_package(package: DevicePackage) -> None:
    """Add *package*'s models and drivers: all or, if one cannot be, none.

    Raises:
        ValueError: It cannot be; says why.
    """
    drivers: Mapping[str, object] = package.drivers  # somebody else's: anything may stand there
    for name, make in drivers.items():
        if _DRIVERS.get(name, make) is not make:
            problem = f"there is another driver called {name!r} already"
            raise ValueError(problem)
        if not callable(make) or all(model.driver != name for model in package.models):
            problem = f"driver {name!r} cannot be called, or no model of the package has it"
            raise ValueError(problem)
    known = {*_DRIVERS, *package.drivers}
    for model in package.models:
        if model.driver not in known:
            problem = f"model {model.name!r}: there is no driver {model.driver!r}"
            raise ValueError(problem)
    register(package.models)
    _DRIVERS.update(package.drivers)


def driver_for(
    advertisement: Advertisement, zone: ZoneInfo, model_name: str = ""
) -> DriverKind | None:
    """Return the kind of device that advertises so, if we can speak to it.

    Args:
        advertisement: What it advertises.
        zone: Where the device is: it tells local time.
        model_name: Its model, where that is known from elsewhere; believed before the
            advertisement, unless this version has no such model.
    """
    model = model_named(model_name) or model_of(advertisement)
    return None if model is None else _kind(model, zone)


def driver_named(name: str, zone: ZoneInfo) -> DriverKind:
    """Return the kind whose driver is called *name*, of its most general model.

    Raises:
        ValueError: There is no such driver; the message names those there are.
    """
    of_driver = [model for model in models() if model.driver == name]
    if not of_driver:
        problem = f"no driver is called {name!r}; there are {', '.join(driver_names())}"
        raise ValueError(problem)
    return _kind(of_driver[-1], zone)


def _kind(model: Model, zone: ZoneInfo) -> DriverKind:
    return DriverKind(model.driver, model, zone, _DRIVERS[model.driver])
