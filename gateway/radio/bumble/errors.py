"""Bumble's errors as bleak's: nobody outside this package knows which stack failed."""

from collections.abc import Iterator
from contextlib import contextmanager

from bleak.exc import (
    CONTROLLER_ERROR_CODES,
    BleakBluetoothNotAvailableError,
    BleakBluetoothNotAvailableReason,
    BleakError,
    BleakGATTProtocolError,
)
from bumble.att import ATT_Error
from bumble.core import BaseBumbleError, BaseError
from bumble.transport.common import TransportLostError

LOST = "the Bluetooth adapter is gone"


@contextmanager
def translated() -> Iterator[None]:
    """Raise Bumble's errors as bleak's, with the same ATT and controller codes' texts."""
    try:
        yield
    except ATT_Error as error:
        raise BleakGATTProtocolError(error.error_code) from error
    except BaseError as error:
        text = CONTROLLER_ERROR_CODES.get(error.error_code or 0, str(error))
        raise BleakError(text if error.error_namespace == "hci" else str(error)) from error
    except TransportLostError as error:
        raise BleakError(LOST) from error
    except BaseBumbleError as error:
        raise BleakError(str(error) or type(error).__name__) from error


def reason_text(reason: int) -> str:
    """Return what a disconnection's reason code means."""
    return CONTROLLER_ERROR_CODES.get(reason, f"reason 0x{reason:02X}")


def not_available(transport: str, problem: str) -> BleakBluetoothNotAvailableError:
    """Return the error of an adapter that is not there or does not answer."""
    return BleakBluetoothNotAvailableError(
        f"no Bluetooth controller at {transport}: {problem}",
        BleakBluetoothNotAvailableReason.NO_BLUETOOTH,
    )
