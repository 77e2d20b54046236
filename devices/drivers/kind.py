"""Which driver speaks to a device, by what it advertises; the one table of kinds of device."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Final
from zoneinfo import ZoneInfo

from devices.drivers.blood_pressure import BloodPressureDriver
from devices.drivers.driver import Driver
from devices.drivers.infinitime import InfiniTimeDriver
from devices.drivers.mi_scale import mi_scale_v1, mi_scale_v2
from devices.drivers.weight_scale import WeightScaleDriver
from devices.gatt import uuids

# A watch always advertises. At most two readings a visit, and ingest marks more than six an
# hour from one device as suspect: three visits in any hour, both ends counted.
WATCH_REVISIT_S: Final = 1800.0


@dataclass(frozen=True, slots=True)
class Advertisement:
    """What a device advertises. UUIDs in any form: 4 digits or whole, either case."""

    device_id: str
    name: str | None = None
    service_uuids: Collection[str] = ()
    service_data: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DriverKind:
    """A kind of device, and how its driver is made.

    Attributes:
        name: What the gateway's inbox remembers it by.
        connects: Whether to connect; if not, its advertisements say all.
        revisit_s: How long to leave alone a device that always advertises; 0 for one that
            advertises only when it has something to tell.
        advertised_source: UUID of the service data to keep, full and lower case.
    """

    name: str
    connects: bool
    revisit_s: float
    advertised_source: str | None
    zone: ZoneInfo
    make: Callable[[str, ZoneInfo], Driver]

    def new(self, device_id: str) -> Driver:
        """Return a driver for one session with *device_id*."""
        return self.make(device_id, self.zone)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Model:
    """A row of the table: how a kind of device shows itself.

    A name, or service data of the right UUID and length, says more than a service UUID, which
    two kinds may share and which BlueZ may repeat from what it once learnt of the device.
    """

    name: str
    make: Callable[[str, ZoneInfo], Driver]
    advertised_names: tuple[str, ...] = ()
    advertised_source: str | None = None
    advertised_bytes: int = 0
    services: tuple[str, ...] = ()
    revisit_s: float = 0.0

    def is_named_by(self, advertisement: Advertisement) -> bool:
        return advertisement.name in self.advertised_names

    def is_shown_by(self, advertisement: Advertisement) -> bool:
        return any(
            uuids.normalise(uuid) == self.advertised_source
            and len(payload) == self.advertised_bytes
            for uuid, payload in advertisement.service_data.items()
        )

    def is_served_by(self, advertisement: Advertisement) -> bool:
        return any(uuids.normalise(uuid) in self.services for uuid in advertisement.service_uuids)

    def kind(self, zone: ZoneInfo) -> DriverKind:
        return DriverKind(
            name=self.name,
            connects=self.advertised_source is None,
            revisit_s=self.revisit_s,
            advertised_source=self.advertised_source,
            zone=zone,
            make=self.make,
        )


_MODELS: Final = (
    _Model(
        name="mi_scale_v1",
        make=mi_scale_v1,
        advertised_names=("MI_SCALE", "MI SCALE2"),
        advertised_source=uuids.WEIGHT_SCALE_SERVICE,
        advertised_bytes=10,
    ),
    _Model(
        name="mi_scale_v2",
        make=mi_scale_v2,
        advertised_names=("MIBCS", "MIBFS"),
        advertised_source=uuids.BODY_COMPOSITION_SERVICE,
        advertised_bytes=13,
    ),
    _Model(
        name="infinitime",
        make=InfiniTimeDriver,
        advertised_names=("InfiniTime",),
        services=(uuids.MOTION_SERVICE,),
        revisit_s=WATCH_REVISIT_S,
    ),
    _Model(
        name="blood_pressure",
        make=BloodPressureDriver,
        services=(uuids.BLOOD_PRESSURE_SERVICE,),
    ),
    _Model(
        name="weight_scale",
        make=WeightScaleDriver,
        services=(uuids.WEIGHT_SCALE_SERVICE, uuids.BODY_COMPOSITION_SERVICE),
    ),
)

DRIVER_NAMES: Final = tuple(model.name for model in _MODELS)


def driver_for(advertisement: Advertisement, zone: ZoneInfo) -> DriverKind | None:
    """Return the kind of device that advertises so, if we can speak to it.

    *zone* is where the device is: it tells local time.
    """
    for shows in (_Model.is_named_by, _Model.is_shown_by, _Model.is_served_by):
        for model in _MODELS:
            if shows(model, advertisement):
                return model.kind(zone)
    return None


def driver_named(name: str, zone: ZoneInfo) -> DriverKind:
    """Return the kind called *name*; ``ValueError`` if there is none, naming those there are."""
    for model in _MODELS:
        if model.name == name:
            return model.kind(zone)
    problem = f"no driver is called {name!r}; there are {', '.join(DRIVER_NAMES)}"
    raise ValueError(problem)
