"""BlueZ's errors as refusals, by their D-Bus names.

Source: BlueZ, src/error.c, src/device.c (new_authentication_return) and src/shared/att.c.
"""

from typing import Final

from bleak.backends.bluezdbus import defs
from bleak.exc import BleakDBusError
from dbus_fast import ErrorType

from gateway.radio.refusal import Refusal, refusal_of

_BY_NAME: Final = {
    # For ATT's insufficient authentication, encryption and key size alike. Read and write not
    # permitted, which have the same name, are bleak's GATT errors by now.
    defs.BLUEZ_ERROR_NOT_PERMITTED: Refusal.NOT_PAIRED,
    # What ``Pair`` ends with.
    "org.bluez.Error.AuthenticationFailed": Refusal.PAIRING_FAILED,
    "org.bluez.Error.AuthenticationCanceled": Refusal.PAIRING_FAILED,
    "org.bluez.Error.AuthenticationRejected": Refusal.PAIRING_FAILED,
    "org.bluez.Error.AuthenticationTimeout": Refusal.PAIRING_FAILED,
    # The characteristic's object went away under us: the services have changed.
    ErrorType.UNKNOWN_OBJECT.value: Refusal.STALE_SERVICES,
}

# BlueZ 5.78 and later say this when a controller reports "PIN or Key Missing". It has no name
# of its own: of everything that can end a connection BlueZ gives only the words.
KEY_MISSING_WORDS: Final = "le-connection-key-missing"


def bluez_refusal(error: BaseException) -> Refusal | None:
    """Return what a device meant by *error*."""
    if refusal := refusal_of(error):
        return refusal
    if not isinstance(error, BleakDBusError):
        return None
    if is_key_missing(error):
        return Refusal.BOND_LOST
    return _BY_NAME.get(error.dbus_error)


def is_key_missing(error: BleakDBusError) -> bool:
    """Return whether BlueZ says that the device does not have our key."""
    return error.dbus_error == defs.BLUEZ_ERROR_FAILED and KEY_MISSING_WORDS in error.args[1:]
