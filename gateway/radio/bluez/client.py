"""BluezClient: bleak's client, that knows pairing's limits and a bond that is lost."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from bleak.backends.bluezdbus.client import BleakClientBlueZDBus
from bleak.backends.bluezdbus.manager import BlueZManager, get_global_bluez_manager
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import NotifyCallback
from bleak.backends.device import BLEDevice
from bleak.exc import BleakDBusError, BleakError

from gateway.radio.bluez.errors import is_key_missing
from gateway.radio.passkey import PASSKEY_S_MAX
from gateway.radio.refusal import Refusal, RefusedError

# The Security Manager gives up after so long without an answer (Core 5.4, Vol 3, Part H, 3.4).
_PAIRING_S_MAX: Final = 30.0

# A subscription is answered within two connection intervals, a fraction of a second. BlueZ
# answers none that needs a bond: it begins to pair by itself, finds no agent, and waits until
# the device hangs up. Below what a session waits for an answer.
_SUBSCRIBED_S_MAX: Final = 4.0

# Connections of a bonded device that came up and were ended by our own controller, one after
# the other, before it is said that the device does not have our key. BlueZ before 5.78 has no
# word for that: each ends as "le-connection-abort-by-local", as one that interference broke
# does, and bleak tries again until its time is up. One may be chance. After two the device is
# left alone until it is woken anew; if it was chance after all, it is served then.
ABORTS_MAX: Final = 2


class BluezClient(BleakClientBlueZDBus):
    """One device found by bleak's scanner.

    Args:
        admits: Whether an object path may be paired with now.
        asks: Whether a person can be asked for a number.
    """

    def __init__(
        self,
        address_or_ble_device: BLEDevice | str,
        *,
        admits: Callable[[str], bool],
        asks: bool,
        **others: Any,
    ) -> None:
        super().__init__(address_or_ble_device, **others)
        details = getattr(address_or_ble_device, "details", None)
        if details is None:
            problem = "connect to a device the scanner found: BlueZ has an object for it"
            raise BleakError(problem)
        self._path: str = details["path"]
        self._admits = admits
        self._asks = asks

    async def connect(
        self,
        pair: bool,  # noqa: FBT001 # bleak's
        dangerous_use_bleak_cache: bool = False,  # noqa: FBT001, FBT002 # bleak's
        **kwargs: Any,
    ) -> None:
        """Connect, and make the bond if that is allowed now.

        Raises:
            RefusedError: The device does not know us any more; or there is no bond, and no
                pairing with it goes on.
            BleakError, TimeoutError: As bleak's.
        """
        del dangerous_use_bleak_cache
        manager = await get_global_bluez_manager()
        is_bonded = _is_paired(manager, self._path)
        if pair and not is_bonded and not self._admits(self._path):
            problem = "there is no bond, and nobody asked for one"
            raise RefusedError(problem, Refusal.NOT_PAIRED)
        timeout_s = self._timeout
        if pair and not is_bonded:  # bleak has one limit for all of it
            timeout_s += _PAIRING_S_MAX + (PASSKEY_S_MAX if self._asks else 0)
        kwargs["timeout"] = timeout_s
        if is_bonded:
            await self._connect_bonded(manager, kwargs, pair=pair)
        else:
            await super().connect(pair, **kwargs)

    async def start_notify(
        self, characteristic: BleakGATTCharacteristic, callback: NotifyCallback, **kwargs: Any
    ) -> None:
        """Subscribe.

        Raises:
            RefusedError: The device wants a bond, and there is none.
            BleakError: As bleak's.
        """
        manager = await get_global_bluez_manager()
        if _is_paired(manager, self._path):
            await super().start_notify(characteristic, callback, **kwargs)
            return
        try:
            async with asyncio.timeout(_SUBSCRIBED_S_MAX):
                await super().start_notify(characteristic, callback, **kwargs)
        except TimeoutError as error:
            if not self.is_connected or _is_paired(manager, self._path):
                raise
            problem = f"no answer to a subscription for {_SUBSCRIBED_S_MAX:.0f} s without a bond"
            raise RefusedError(problem, Refusal.NOT_PAIRED) from error

    async def _connect_bonded(
        self, manager: BlueZManager, kwargs: dict[str, Any], *, pair: bool
    ) -> None:
        aborts = 0
        limit = asyncio.timeout(None)

        def changed(connected: bool) -> None:  # noqa: FBT001 # bleak's
            nonlocal aborts
            aborts += not connected
            if aborts == ABORTS_MAX:
                limit.reschedule(asyncio.get_running_loop().time())

        watcher = manager.add_device_watcher(self._path, changed, lambda _path, _value: None)
        try:
            async with limit:
                await super().connect(pair, **kwargs)
        except (BleakDBusError, TimeoutError) as error:
            if limit.expired() or (isinstance(error, BleakDBusError) and is_key_missing(error)):
                problem = f"{self.address} is bonded, and does not have our key"
                raise RefusedError(problem, Refusal.BOND_LOST) from error
            raise
        finally:
            manager.remove_device_watcher(watcher)


def _is_paired(manager: BlueZManager, path: str) -> bool:
    try:
        return manager.is_paired(path)
    except BleakError:  # BlueZ has forgotten the device; bleak says so in its own words
        return False
