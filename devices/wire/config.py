"""What comes down to a gateway: its lending list, a few settings, and a pairing that is wanted."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from devices.reading import DeviceId, Label, Utc, require_utc
from devices.wire.codec import decode_versioned, encoder
from devices.wire.limits import Count, GatewayId, Version, Word

# A home has a handful of devices on loan; a care home's day room some dozens.
LENT_MAX: Final = 64

# A gateway that said nothing for a quarter of an hour counts as silent. That is three heartbeats,
# so one of them may get lost and the next come late.
HEARTBEAT_S_MAX: Final = 300


def require_named(device_id: str | None, model: str) -> None:
    """Raise ``ValueError`` for a pairing with just anything: a neighbour's device is heard, too."""
    if not device_id and not model:
        problem = "a pairing names neither device nor model"
        raise ValueError(problem)


class LentDevice(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A device on loan in this home.

    Attributes:
        device_id: Its address.
        model: Name of the row of the models' table; "" lets the gateway tell by what it advertises.
    """

    device_id: DeviceId
    model: Word = ""


class PairingRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A pairing somebody asked for. It is tried until it is done, fails or expires.

    Attributes:
        request_id: Names it in the status; a request that was tried once is not tried again.
        expires_at: Beyond this it is let go.
        device_id: The device, if its address is known; otherwise the first of *model* heard.
        model: Name of the row of the models' table; "" only with *device_id*.
        passkey: The number the device shows, once somebody has read it.
    """

    request_id: Label
    expires_at: Utc
    device_id: DeviceId | None = None
    model: Word = ""
    passkey: Annotated[int, Meta(ge=0, le=999_999)] | None = None

    def __post_init__(self) -> None:
        require_utc(self.expires_at)
        require_named(self.device_id, self.model)


class GatewayConfig(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The configuration of one gateway as the server wants it; retained on its topic.

    Attributes:
        config_version: Grows with every change; an older one is not taken.
        at: When it was written.
        devices: The lending list.
        serves_others: Whether devices that are not on the list are served too.
        heartbeat_s: Between two heartbeats; none leaves it as the box has it.
        idle_s: Without a value, a session ends after this; none leaves it as the box has it.
        pairing: A pairing somebody asked for.
    """

    v: Version
    gateway: GatewayId
    config_version: Count
    at: Utc
    devices: Annotated[tuple[LentDevice, ...], Meta(max_length=LENT_MAX)] = ()
    serves_others: bool = False
    heartbeat_s: Annotated[float, Meta(ge=1, le=HEARTBEAT_S_MAX)] | None = None
    idle_s: Annotated[float, Meta(ge=0.5, le=120)] | None = None
    pairing: PairingRequest | None = None

    def __post_init__(self) -> None:
        require_utc(self.at)


_config = msgspec.json.Decoder(GatewayConfig)


def encode_config(config: GatewayConfig) -> bytes:
    """Return *config* as it travels."""
    return encoder.encode(config)


def decode_config(payload: bytes) -> GatewayConfig:
    """Return the configuration in *payload*; raises as ``decode_message``."""
    return decode_versioned(_config, payload)
