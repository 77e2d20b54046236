"""Pairing: from "search for the device" to a second, encrypted session that delivered a reading.

A read in the pairing connection proves no bond, so the bond is made in one connection and
proven by the next. Nothing here is tried for ever: a refusal ends the pairing, and so does
its time running out.
"""

import enum
from collections.abc import Callable
from datetime import datetime

from bleak.backends.device import BLEDevice

from devices.wire import PairingRequest, PairingStatus
from gateway.radio import AskPasskey, Radio, Refusal


class Failure(enum.StrEnum):
    """Why a pairing failed; pages and commands have the words for each."""

    NOT_HEARD = "not_heard"  # its time ran out, and no such device had advertised
    NOT_REACHED = "not_reached"  # it advertised, and every try to connect failed
    WRONG_PASSKEY = "wrong_passkey"  # the number was not the one the device showed
    NO_PASSKEY = "no_passkey"  # the device showed a number, and nobody gave it in time
    REFUSED = "refused"  # the device did not want to pair: it is not in its pairing mode
    LOST_AGAIN = "lost_again"  # bonded, and at the next connection it did not know us
    NO_TEST_READING = "no_test_reading"  # bonded, and no test measurement came
    EXPIRED = "expired"  # its time had run out before it began
    CANCELLED = "cancelled"


class PairingBusy(Exception):
    """Another pairing is going on; one at a time."""


class Pairing:
    """One pairing that was asked for; the central's loop runs it.

    The central makes one, gives it every advertisement it would serve (``wants``), runs
    ``bond`` in its serve loop in place of a session when a wanted device is heard, serves the
    device as usual afterwards, and tells how that went (``served``, ``refused``). It calls
    ``look`` now and then, for the time, and waits for ``over`` wherever it was asked.

    Args:
        request: What is wanted.
        ask_passkey: Asks a person for the number the device shows.
        tell: Called with each change.
        now: The clock; aware UTC.
    """

    def __init__(
        self,
        request: PairingRequest,
        *,
        ask_passkey: AskPasskey | None,
        tell: Callable[[PairingStatus], None],
        now: Callable[[], datetime],
    ) -> None:
        raise NotImplementedError

    @property
    def status(self) -> PairingStatus:
        """Where it stands."""
        raise NotImplementedError

    @property
    def is_over(self) -> bool:
        """Whether it is done or has failed."""
        raise NotImplementedError

    def wants(self, device_id: str, model: str) -> bool:
        """Return whether this device is to be bonded now: it is searched for, and fits.

        Args:
            device_id: Of the device that advertises.
            model: Name of its row of the models' table.
        """
        raise NotImplementedError

    async def bond(
        self, radio: Radio, device: BLEDevice, device_id: str, *, timeout_s: float
    ) -> None:
        """Make the bond: connect, pair, disconnect.

        Afterwards it stands at MEASURE or FAILED, or still at SEARCHING if there was no
        connection. Raises nothing of the radio's.
        """
        raise NotImplementedError

    def served(self, device_id: str, *, new_readings: int, is_bonded: bool) -> None:
        """Take note of a session that is over: DONE if it proves the bond."""
        raise NotImplementedError

    def refused(self, device_id: str, refusal: Refusal) -> None:
        """Take note that the device refused at a later connection."""
        raise NotImplementedError

    def look(self) -> None:
        """Fail if the time is up."""
        raise NotImplementedError

    def cancel(self) -> None:
        """Give up, at once, also in the middle of ``bond``. Harmless when over."""
        raise NotImplementedError

    async def over(self) -> PairingStatus:
        """Wait until it is over; return how."""
        raise NotImplementedError
