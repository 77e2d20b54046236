"""The virtual radio: virtual devices in this process, gateways over a loopback socket."""

from simulator.radio.virtual import VirtualDevice, VirtualRadio

__all__ = ["VirtualDevice", "VirtualRadio"]
