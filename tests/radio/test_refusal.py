"""What each error means: by code and by name, never by what it says."""

import pytest
from bleak.exc import (
    BleakCharacteristicNotFoundError,
    BleakDBusError,
    BleakError,
    BleakGATTProtocolError,
    BleakGATTProtocolErrorCode,
)

from gateway.radio import Refusal, RefusedError
from gateway.radio.bluez.errors import bluez_refusal
from gateway.radio.refusal import refusal_of

CODES = BleakGATTProtocolErrorCode

ALIKE = [
    (BleakGATTProtocolError(CODES.INSUFFICIENT_AUTHENTICATION), Refusal.NOT_PAIRED),
    (BleakGATTProtocolError(CODES.INSUFFICIENT_ENCRYPTION), Refusal.NOT_PAIRED),
    (BleakGATTProtocolError(CODES.INSUFFICIENT_AUTHORIZATION), Refusal.NOT_PAIRED),
    (BleakGATTProtocolError(CODES.INSUFFICIENT_ENCRYPTION_KEY_SIZE), Refusal.NOT_PAIRED),
    (BleakGATTProtocolError(CODES.DATABASE_OUT_OF_SYNC), Refusal.STALE_SERVICES),
    (BleakGATTProtocolError(CODES.READ_NOT_PERMITTED), None),
    (BleakGATTProtocolError(CODES.UNLIKELY_ERROR), None),
    (BleakCharacteristicNotFoundError("2a35"), Refusal.STALE_SERVICES),
    (RefusedError("so it is", Refusal.BOND_LOST), Refusal.BOND_LOST),
    (BleakError("Insufficient Authentication"), None),
    (BleakError("org.bluez.Error.NotPermitted"), None),
    (TimeoutError(), None),
    (OSError(), None),
]


@pytest.mark.parametrize(("error", "refusal"), ALIKE)
def test_both_stacks_mean_the_same(error: Exception, refusal: Refusal | None) -> None:
    assert refusal_of(error) is refusal
    assert bluez_refusal(error) is refusal


@pytest.mark.parametrize(
    ("name", "words", "refusal"),
    [
        ("org.bluez.Error.NotPermitted", "Not paired", Refusal.NOT_PAIRED),
        ("org.bluez.Error.AuthenticationFailed", "", Refusal.PAIRING_FAILED),
        ("org.bluez.Error.AuthenticationCanceled", "", Refusal.PAIRING_FAILED),
        ("org.bluez.Error.AuthenticationRejected", "", Refusal.PAIRING_FAILED),
        ("org.bluez.Error.AuthenticationTimeout", "", Refusal.PAIRING_FAILED),
        ("org.bluez.Error.ConnectionAttemptFailed", "Page Timeout", None),
        ("org.bluez.Error.Failed", "le-connection-abort-by-local", None),
        ("org.bluez.Error.Failed", "le-connection-key-missing", Refusal.BOND_LOST),
        ("org.bluez.Error.NotReady", "le-connection-key-missing", None),
        ("org.freedesktop.DBus.Error.UnknownObject", "", Refusal.STALE_SERVICES),
        ("org.bluez.Error.InProgress", "", None),
    ],
)
def test_bluez_names_mean(name: str, words: str, refusal: Refusal | None) -> None:
    assert bluez_refusal(BleakDBusError(name, [words])) is refusal
    assert refusal_of(BleakDBusError(name, [words])) is None
