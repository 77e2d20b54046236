"""UUIDs of the services and characteristics we speak, as full lower-case strings.

Source: Bluetooth SIG Assigned Numbers, sections 3.4 and 3.8; InfiniTime's MotionService.md.
"""

from typing import Final

_BASE: Final = "-0000-1000-8000-00805f9b34fb"
_SHORT_DIGITS: Final = 4
_SHORT_PREFIX: Final = "0000"


def full(number: int) -> str:
    """Return the 128-bit form of a 16-bit UUID, e.g. ``00002a35-0000-1000-8000-00805f9b34fb``."""
    return f"{number:08x}{_BASE}"


def normalise(uuid: str) -> str:
    """Return *uuid*, 4 digits or whole, in any case, as a full lower-case UUID."""
    uuid = uuid.lower()
    return f"{_SHORT_PREFIX}{uuid}{_BASE}" if len(uuid) == _SHORT_DIGITS else uuid


def short(uuid: str) -> str:
    """Return the 4 digits of a UUID of the Bluetooth SIG, any other UUID whole; lower case."""
    uuid = normalise(uuid)
    if uuid.startswith(_SHORT_PREFIX) and uuid.endswith(_BASE):
        return uuid[len(_SHORT_PREFIX) : len(_SHORT_PREFIX) + _SHORT_DIGITS]
    return uuid


BLOOD_PRESSURE_SERVICE: Final = full(0x1810)
BATTERY_SERVICE: Final = full(0x180F)
CURRENT_TIME_SERVICE: Final = full(0x1805)
DEVICE_INFORMATION_SERVICE: Final = full(0x180A)
RUNNING_SPEED_AND_CADENCE_SERVICE: Final = full(0x1814)
BODY_COMPOSITION_SERVICE: Final = full(0x181B)
USER_DATA_SERVICE: Final = full(0x181C)
WEIGHT_SCALE_SERVICE: Final = full(0x181D)
PHYSICAL_ACTIVITY_MONITOR_SERVICE: Final = full(0x183E)
MOTION_SERVICE: Final = "00030000-78fc-48fe-8e23-433b3a1942d0"

DATE_TIME: Final = full(0x2A08)
BATTERY_LEVEL: Final = full(0x2A19)
MODEL_NUMBER: Final = full(0x2A24)
SERIAL_NUMBER: Final = full(0x2A25)
FIRMWARE_REVISION: Final = full(0x2A26)
HARDWARE_REVISION: Final = full(0x2A27)
SOFTWARE_REVISION: Final = full(0x2A28)
MANUFACTURER_NAME: Final = full(0x2A29)
CURRENT_TIME: Final = full(0x2A2B)
BLOOD_PRESSURE_MEASUREMENT: Final = full(0x2A35)
INTERMEDIATE_CUFF_PRESSURE: Final = full(0x2A36)
BLOOD_PRESSURE_FEATURE: Final = full(0x2A49)
RSC_MEASUREMENT: Final = full(0x2A53)
BODY_COMPOSITION_MEASUREMENT: Final = full(0x2A9C)
WEIGHT_MEASUREMENT: Final = full(0x2A9D)
WEIGHT_SCALE_FEATURE: Final = full(0x2A9E)
USER_CONTROL_POINT: Final = full(0x2A9F)
STEP_COUNTER_ACTIVITY_SUMMARY: Final = full(0x2B40)
STEP_COUNT: Final = "00030001-78fc-48fe-8e23-433b3a1942d0"
