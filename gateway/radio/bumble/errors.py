"""Bumble's errors as bleak's: nobody outside this package knows which stack failed."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from bleak.exc import (
    CONTROLLER_ERROR_CODES,
    BleakBluetoothNotAvailableError,
    BleakBluetoothNotAvailableReason,
    BleakError,
    BleakGATTProtocolError,
)
from bumble import hci
from bumble.att import ATT_Error
from bumble.core import BaseBumbleError, BaseError
from bumble.transport.common import TransportLostError

from gateway.radio.refusal import Refusal, RefusedError

LOST = "the Bluetooth adapter is gone"

# How a controller says that the other end does not have our key, or another one (Core 5.4,
# Vol 1, Part F, 2.5, 2.6 and 2.61).
KEYS_NOT_ACCEPTED: Final = frozenset(
    {
        int(hci.HCI_ErrorCode.AUTHENTICATION_FAILURE_ERROR),
        int(hci.HCI_ErrorCode.PIN_OR_KEY_MISSING_ERROR),
        int(hci.HCI_ErrorCode.CONNECTION_TERMINATED_DUE_TO_MIC_FAILURE_ERROR),
    }
)


class ControllerError(BleakError):
    """The controller, or the device through it, said no.

    Attributes:
        code: Why (Core 5.4, Vol 1, Part F).
    """

    def __init__(self, words: str, code: int) -> None:
        self.code = code
        super().__init__(words)


@contextmanager
def translated() -> Iterator[None]:
    """Raise Bumble's errors as bleak's, with the same ATT and controller codes' texts."""
    try:
        yield
    except ATT_Error as error:
        raise BleakGATTProtocolError(error.error_code) from error
    except BaseError as error:
        raise _translation(error) from error
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


def _translation(error: BaseError) -> BleakError:
    code = error.error_code or 0
    if error.error_namespace == "hci":
        return ControllerError(CONTROLLER_ERROR_CODES.get(code, str(error)), code)
    if error.error_namespace == "smp":
        return RefusedError(f"pairing failed: {error.error_name}", Refusal.PAIRING_FAILED)
    return BleakError(str(error))
