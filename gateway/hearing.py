"""Hearing: what becomes of an advertisement: a device to visit, a frame to keep, or nothing."""

import time
from collections.abc import Callable
from typing import Final
from zoneinfo import ZoneInfo

from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData

from devices.drivers import Advertisement, DriverKind, driver_for
from gateway.advertised import AdvertisedSessions
from gateway.lending import Lending
from gateway.log import get_logger
from gateway.memory import Memory
from gateway.pairing import Pairing
from gateway.sighting import Sightings

_log = get_logger()

# A second address type may follow the address in Bumble's notation.
_TYPE_SUFFIX: Final = "/P"

# Kinds worked out before: telephones passing by change their address every quarter of an hour,
# and each advertises several times a second. Emptied when full.
_KINDS_MAX: Final = 1024

# What tells a device's kind, all of it: address, model by the list, name, services, service data.
_Shown = tuple[str, str, str | None, tuple[str, ...], tuple[tuple[str, int], ...]]


class Hearing:
    """Takes every advertisement there is.

    Args:
        zone: Where the devices are.
        lending: Which devices are served; asked each time, so that a change holds at once.
        sightings: Where devices to be visited are noted.
        advertised: Where frames of devices that only advertise go.
        memory: Where it is noted who was heard.

    Attributes:
        heard_any_s: When anybody at all was last heard, monotonic; -inf before the first.
        pairing: What is going on, if anything; its device need not be on the list.
    """

    def __init__(
        self,
        zone: ZoneInfo,
        lending: Callable[[], Lending],
        *,
        sightings: Sightings,
        advertised: AdvertisedSessions,
        memory: Memory,
    ) -> None:
        self._zone = zone
        self._lending = lending
        self._sightings = sightings
        self._advertised = advertised
        self._memory = memory
        self._kinds: dict[_Shown, DriverKind | None] = {}
        self._odd: set[tuple[str, int]] = set()  # lengths that were told, by model
        self.heard_any_s = float("-inf")
        self.pairing: Pairing | None = None

    def serves(self, device_id: str, lending: Lending) -> bool:
        """Return whether the device is served: a pairing's has to prove its bond, listed or not."""
        is_guest = self.pairing is not None and self.pairing.status.device_id == device_id
        return is_guest or lending.serves(device_id)

    def take(self, device: BLEDevice, advertisement: AdvertisementData) -> bool:
        """Take an advertisement; return whether a device came to wait for a visit.

        Raises:
            StoreFull: A frame was not kept, or waits in the inbox for a replay.
        """
        now_s = self.heard_any_s = time.monotonic()
        lending = self._lending()
        device_id = device.address.removesuffix(_TYPE_SUFFIX).upper()
        is_served = self.serves(device_id, lending)
        if not is_served and self.pairing is None:
            return False
        kind = self._kind(device_id, lending.model(device_id), device, advertisement)
        if kind is None:
            return False
        pairing = self.pairing
        is_wanted = (
            pairing is not None and kind.connects and pairing.wants(device_id, kind.model.name)
        )
        if not (is_served or is_wanted):
            return False
        self._memory.heard(device_id, kind.model.name)
        if kind.connects:
            return self._sightings.heard(device_id, device, kind, now_s, is_wanted=is_wanted)
        payload = advertisement.service_data.get(kind.advertised_source or "")
        if payload is not None and self._is_frame(kind, payload):
            is_listed = device_id in lending.models
            is_ours = self._memory.of(device_id).is_ours
            self._advertised.take(
                device_id, kind, payload, now_s, is_listed=is_listed, is_ours=is_ours
            )
        return False

    def _is_frame(self, kind: DriverKind, payload: bytes) -> bool:
        """Return whether it is a frame of the kind's model; tell once of each length that is not.

        A device known by its name, or lent as the wrong model, may say other things too.
        """
        if kind.is_frame(payload):
            return True
        odd = kind.model.name, len(payload)
        if odd not in self._odd and len(self._odd) < _KINDS_MAX:
            self._odd.add(odd)
            _log.warning("advertised.wrong_length", model=odd[0], length=odd[1])
        return False

    def _kind(
        self, device_id: str, model: str, device: BLEDevice, advertisement: AdvertisementData
    ) -> DriverKind | None:
        name = advertisement.local_name or device.name
        services = tuple(advertisement.service_uuids)
        frames = advertisement.service_data
        shown = (device_id, model, name, services, tuple((u, len(p)) for u, p in frames.items()))
        if shown not in self._kinds:
            if len(self._kinds) >= _KINDS_MAX:
                self._kinds.clear()
            seen = Advertisement(device_id, name, services, frames)
            self._kinds[shown] = driver_for(seen, self._zone, model)
        return self._kinds[shown]
