"""What goes wrong with a gateway's adapter, and what cures it."""

import enum


class Cure(enum.IntEnum):
    """What brings a stuck adapter back; each also by what stands below it."""

    SCAN_RESTART = 1  # scanning switched off and on
    RESET = 2  # a reset, as when the adapter's power is switched off and on
    NOTHING = 3


class Fault(enum.Enum):
    """How an adapter is stuck (home-assistant/core#76544, theengs/gateway#264)."""

    DEAF = "deaf"  # it says that it scans, and reports no advertisement
    BUSY = "busy"  # it refuses to scan: Command Disallowed, which Linux calls InProgress
    MUTE = "mute"  # it answers no command but a reset


class Misuse(enum.StrEnum):
    """What makes many adapters freeze (bleak#694, ble2mqtt#62)."""

    SECOND_SCAN = "a scan was started while one was running"
    SCAN_BESIDE_ATTEMPT = "a scan was started beside a connection attempt"
    SECOND_ATTEMPT = "a connection was attempted beside another attempt or an open connection"
