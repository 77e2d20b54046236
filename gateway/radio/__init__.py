"""Which Bluetooth: BlueZ, or our own bleak backend on Bumble for a virtual or a raw controller."""

from gateway.radio.config import RadioConfig
from gateway.radio.passkey import AskPasskey, PasskeyNotGiven
from gateway.radio.radio import Radio, open_radio
from gateway.radio.refusal import Refusal, RefusedError

__all__ = [
    "AskPasskey",
    "PasskeyNotGiven",
    "Radio",
    "RadioConfig",
    "Refusal",
    "RefusedError",
    "open_radio",
]
