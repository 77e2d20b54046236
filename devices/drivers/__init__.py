"""Sans-IO drivers: what each kind of device is asked, and what its answers mean."""

from devices.drivers.driver import Driver, RawValue, Read, Request, Subscribe, Write
from devices.drivers.kind import (
    DRIVER_NAMES,
    Advertisement,
    DriverKind,
    driver_for,
    driver_named,
)

__all__ = [
    "DRIVER_NAMES",
    "Advertisement",
    "Driver",
    "DriverKind",
    "RawValue",
    "Read",
    "Request",
    "Subscribe",
    "Write",
    "driver_for",
    "driver_named",
]
