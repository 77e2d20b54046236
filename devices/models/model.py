"""Model: what is known of one device on the market, as data.

A model says how the device shows itself, what it wants before it delivers, and where it departs
from its profile. What its bytes mean is its driver's alone: the inbox keeps the driver's name, so
that a replay needs no model.
"""

import enum
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from devices.gatt import uuids

# It stands in configuration, wire messages (devices.wire.limits.Word) and tables.
_NAME: Final = re.compile(r"[a-z0-9_]{1,64}")
_CLOCKS: Final = frozenset((uuids.CURRENT_TIME, uuids.DATE_TIME))


class Pairing(enum.StrEnum):
    """What a bond takes."""

    NONE = "none"  # delivers without a bond
    JUST_WORKS = "just_works"  # a bond, and nothing to type
    PASSKEY = "passkey"  # a bond, and the number that the device shows


class Tried(enum.StrEnum):
    """The best evidence we have that a model works."""

    SIMULATED = "simulated"  # a device model on the virtual radio, made from what others tell of it
    CAPTURED = "captured"  # bytes of a real one, captured by others, are in our golden tests
    REAL = "real"  # we had one in our hands


@dataclass(frozen=True, slots=True)
class Advertisement:
    """What a device advertises. UUIDs in any form: 4 digits or whole, either case."""

    device_id: str
    name: str | None = None
    service_uuids: Collection[str] = ()
    service_data: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A row of the table.

    Attributes:
        name: Its name in configuration, status and tables; never changed, at most 64 characters.
        title: As it is sold.
        driver: The name of the driver that reads its bytes.
        advertised_names: Names it advertises, exactly; one of them is enough.
        advertised_prefixes: Beginnings of names, where a serial number or an address follows.
        advertised_source: UUID of service data that says all; such a device is not connected to.
        advertised_bytes: How long that service data is.
        services: Advertised services, any of which tells it; with prefixes, both must hold.
        pairing: What a bond takes.
        pairs_before_discovery: Must be encrypted before anything else is touched.
        clocks: Characteristics that tell its clock, the one to try first first.
        sets_clock: Whether its clock may be set.
        consent: Whether a user is registered with it (User Data Service), as some scales deliver
            nothing and name nobody before.
        slots: Users it keeps apart; 0 for none or not known.
        window_s: How long it goes on advertising after a measurement; 0 for not known.
        settle_s: How long to leave it in peace between discovery and the first request.
        revisit_s: How long to leave alone a device that always advertises; 0 for one that
            advertises only when it has something to tell.
        vendor_frames: Characteristics of a profile on which it sends its own layout.
        quirks: What departs from the profile, in English, for docs/devices.md.
        how_to_pair_sv: Which button to hold, one plain sentence for people at home.
        how_to_pair_en: The same in English.
        tried: The best evidence that it works.
        source: Where all this is told, and what could not be confirmed.
    """

    name: str
    title: str
    driver: str
    advertised_names: tuple[str, ...] = ()
    advertised_prefixes: tuple[str, ...] = ()
    advertised_source: str | None = None
    advertised_bytes: int = 0
    services: tuple[str, ...] = ()
    pairing: Pairing = Pairing.NONE
    pairs_before_discovery: bool = False
    clocks: tuple[str, ...] = ()
    sets_clock: bool = False
    consent: bool = False
    slots: int = 0
    window_s: float = 0.0
    settle_s: float = 0.0
    revisit_s: float = 0.0
    vendor_frames: tuple[str, ...] = ()
    quirks: str = ""
    how_to_pair_sv: str = ""
    how_to_pair_en: str = ""
    tried: Tried
    source: str

    def __post_init__(self) -> None:
        if (what := self._problem()) is not None:
            problem = f"model {self.name!r}: {what}"
            raise ValueError(problem)

    def _problem(self) -> str | None:
        if not _NAME.fullmatch(self.name):
            return "a name is 1 to 64 of a-z, 0-9 and _"
        for text in ("title", "driver", "source"):
            if not getattr(self, text):
                return f"{text} is missing"
        named = {self.advertised_source, *self.services, *self.vendor_frames} - {None}
        if any(uuid != uuids.normalise(str(uuid)) for uuid in named):
            return "UUIDs are written in full and in lower case"
        if not _CLOCKS.issuperset(self.clocks):
            return "a clock is Current Time or Date Time"
        if (self.advertised_source is None) is not (self.advertised_bytes == 0):
            return "advertised_source and advertised_bytes go together"
        return None

    @property
    def connects(self) -> bool:
        """Whether to connect; if not, its advertisements say all."""
        return self.advertised_source is None

    def is_named_by(self, advertisement: Advertisement) -> bool:
        """Return whether its whole name is advertised."""
        return advertisement.name in self.advertised_names

    def is_shown_by(self, advertisement: Advertisement) -> bool:
        """Return whether service data of its UUID and length is advertised."""
        return any(
            uuids.normalise(uuid) == self.advertised_source
            and len(payload) == self.advertised_bytes
            for uuid, payload in advertisement.service_data.items()
        )

    def is_begun_by(self, advertisement: Advertisement) -> bool:
        """Return whether the advertised name begins as its names do, and a service fits."""
        name = advertisement.name or ""
        begins = any(name.startswith(prefix) for prefix in self.advertised_prefixes)
        return begins and (not self.services or self._serves(advertisement))

    def is_served_by(self, advertisement: Advertisement) -> bool:
        """Return whether a service that tells it, by itself, is advertised."""
        return not self.advertised_prefixes and self._serves(advertisement)

    def _serves(self, advertisement: Advertisement) -> bool:
        return any(uuids.normalise(uuid) in self.services for uuid in advertisement.service_uuids)
