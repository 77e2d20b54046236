"""The virtual radio: virtual devices in this process, gateways over a loopback socket."""

from simulator.radio.fault import Cure, Misuse
from simulator.radio.virtual import VirtualDevice, VirtualRadio

__all__ = ["Cure", "Misuse", "VirtualDevice", "VirtualRadio"]
