"""Which Bluetooth: BlueZ, or our own bleak backend on Bumble for a virtual or a raw controller."""

from gateway.radio.config import RadioConfig
from gateway.radio.radio import Radio, open_radio

__all__ = ["Radio", "RadioConfig", "open_radio"]
