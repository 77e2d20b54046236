"""Refusal: what a device means by not letting us in, whichever stack heard it."""

import enum
from typing import Final

from bleak.exc import (
    BleakCharacteristicNotFoundError,
    BleakError,
    BleakGATTProtocolError,
    BleakGATTProtocolErrorCode,
)


class Refusal(enum.Enum):
    """Why a device that could be reached gave nothing."""

    NOT_PAIRED = "not_paired"  # it wants an encrypted link, and we have no bond with it
    BOND_LOST = "bond_lost"  # we have a bond, and the device does not know it any more
    STALE_SERVICES = "stale_services"  # what we remember of its services is no longer true
    PAIRING_FAILED = "pairing_failed"  # while the bond was made: a wrong number, or no wish to pair


class RefusedError(BleakError):
    """A device, or the rules of this radio, did not let us in.

    Attributes:
        refusal: Why.
    """

    def __init__(self, words: str, refusal: Refusal) -> None:
        self.refusal = refusal
        super().__init__(words)


# Error codes of the Attribute Protocol (Core 5.4, Vol 3, Part F, 3.4.1.1, table 3.4). A bonded
# device is encrypted before it is asked anything, so the first four say that it wants a bond.
_BY_ATT_CODE: Final = {
    BleakGATTProtocolErrorCode.INSUFFICIENT_AUTHENTICATION: Refusal.NOT_PAIRED,
    BleakGATTProtocolErrorCode.INSUFFICIENT_AUTHORIZATION: Refusal.NOT_PAIRED,
    BleakGATTProtocolErrorCode.INSUFFICIENT_ENCRYPTION_KEY_SIZE: Refusal.NOT_PAIRED,
    BleakGATTProtocolErrorCode.INSUFFICIENT_ENCRYPTION: Refusal.NOT_PAIRED,
    BleakGATTProtocolErrorCode.DATABASE_OUT_OF_SYNC: Refusal.STALE_SERVICES,
}


def refusal_of(error: BaseException) -> Refusal | None:
    """Return what every stack tells in the same way."""
    match error:
        case RefusedError():
            return error.refusal
        case BleakGATTProtocolError():
            return _BY_ATT_CODE.get(error.code)
        case BleakCharacteristicNotFoundError():
            return Refusal.STALE_SERVICES
    return None
