"""The virtual radio: virtual devices in this process, gateways over a loopback socket."""

from simulator.radio.fault import Cure, Fault, Misuse
from simulator.radio.virtual import VirtualDevice, VirtualRadio

__all__ = ["Cure", "Fault", "Misuse", "VirtualDevice", "VirtualRadio"]
