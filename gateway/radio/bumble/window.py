"""Window: pairing with one device while somebody watches; nothing else is ever paired with.

We are the one who asks to pair. A device that asks us is refused, also inside the window: by
the specification the central begins (Core 5.4, Vol 3, Part H, 2.4.6), a device may only ask
it to.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from bleak.exc import BleakError
from bumble import hci
from bumble.device import Connection
from bumble.pairing import PairingConfig, PairingDelegate

from gateway.radio.passkey import AskPasskey, asked

_ENCRYPTION: Final = PairingDelegate.KeyDistribution.DISTRIBUTE_ENCRYPTION_KEY
_IDENTITY: Final = PairingDelegate.KeyDistribution.DISTRIBUTE_IDENTITY_KEY


class Window:
    """Which device may be paired with now, if any."""

    def __init__(self) -> None:
        self._device_id: str | None = None
        self._ask: AskPasskey | None = None

    @contextmanager
    def opened(self, device_id: str, ask_passkey: AskPasskey | None) -> Iterator[None]:
        """Let this device in for as long as the block lasts.

        Raises:
            BleakError: Another one is being let in.
        """
        if self._device_id is not None:
            problem = f"{self._device_id} is being paired with"
            raise BleakError(problem)
        self._device_id, self._ask = device_id.upper(), ask_passkey
        try:
            yield
        finally:
            self._device_id = self._ask = None

    @property
    def asks(self) -> bool:
        """Whether a person can be asked for a number."""
        return self._ask is not None

    def admits(self, address: hci.Address) -> bool:
        """Return whether the device may be paired with now."""
        return self._device_id == address.to_string(with_type_qualifier=False)

    def config(self, connection: Connection) -> PairingConfig:
        """Return how to pair over *connection*: Bumble asks this for every pairing."""
        ask = self._ask if self.admits(connection.peer_address) else None
        # A man in the middle is kept out where a person can type what the device shows. Devices
        # without a display then do with Just Works. Secure Connections where the device knows
        # them. The device's identity key, so that it is known again under another address;
        # ours does not change.
        return PairingConfig(
            sc=True,
            mitm=ask is not None,
            bonding=True,
            delegate=_Delegate(ask),
        )


class _Delegate(PairingDelegate):
    """Answers Bumble's questions while it pairs."""

    def __init__(self, ask: AskPasskey | None) -> None:
        super().__init__(
            self.NO_OUTPUT_NO_INPUT if ask is None else self.KEYBOARD_INPUT_ONLY,
            local_initiator_key_distribution=_ENCRYPTION,
            local_responder_key_distribution=_ENCRYPTION | _IDENTITY,
        )
        self._ask = ask

    async def accept(self) -> bool:
        """Refuse what the other end began."""
        return False

    async def compare_numbers(self, number: int, digits: int) -> bool:
        """Refuse: nobody here sees a number, and we said that we have no display."""
        del number, digits
        return False

    async def get_number(self) -> int | None:
        """Return the number the device shows."""
        passkey = None if self._ask is None else await asked(self._ask)
        return None if passkey is None else _Passkey(passkey)


class _Passkey(int):
    """A number that is true also when it is 000000, which Bumble asserts."""

    def __bool__(self) -> bool:
        return True
