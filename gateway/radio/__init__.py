"""Which Bluetooth: BlueZ, or our own bleak backend on Bumble for a virtual or a raw controller."""

from gateway.radio.config import RadioConfig
from gateway.radio.radio import AskPasskey, Radio, open_radio
from gateway.radio.refusal import Refusal

__all__ = ["AskPasskey", "Radio", "RadioConfig", "Refusal", "open_radio"]
