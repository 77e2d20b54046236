"""Sans-IO drivers: what each kind of device is asked, and what its answers mean."""

from devices.drivers.driver import (
    Driver,
    Notes,
    RawValue,
    Read,
    Request,
    SetClock,
    Subscribe,
    Write,
)
from devices.drivers.kind import (
    DevicePackage,
    DriverKind,
    add_package,
    driver_for,
    driver_named,
    driver_names,
)
from devices.models import Advertisement

__all__ = [
    "Advertisement",
    "DevicePackage",
    "Driver",
    "DriverKind",
    "Notes",
    "RawValue",
    "Read",
    "Request",
    "SetClock",
    "Subscribe",
    "Write",
    "add_package",
    "driver_for",
    "driver_named",
    "driver_names",
]
