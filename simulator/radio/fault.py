"""What goes wrong with a gateway's adapter, and what cures it."""

import enum


class Cure(enum.IntEnum):
    """What brings a stuck adapter back; each also by what stands below it."""

    SCAN_RESTART = 1  # scanning switched off and on
    RESET = 2  # a reset, as when the adapter's power is switched off and on
    NOTHING = 3


class Misuse(enum.StrEnum):
    """What makes many adapters freeze (bleak#694, ble2mqtt#62)."""

    SECOND_SCAN = "a scan was started while one was running"
    SCAN_BESIDE_ATTEMPT = "a scan was started beside a connection attempt"
    SECOND_ATTEMPT = "a connection was attempted beside another attempt or an open connection"
