"""Lending: which devices this gateway serves, and of which model each is."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from devices.wire import GatewayConfig


@dataclass(frozen=True, slots=True)
class Lending:
    """Which devices are served.

    Attributes:
        models: Of each device on the list, by address in capitals; "" where its model is told
            by what it advertises.
        serves_others: Whether devices that are not on the list are served too.
    """

    models: Mapping[str, str]
    serves_others: bool

    def serves(self, device_id: str) -> bool:
        """Return whether the device is to be served."""
        return self.serves_others or device_id in self.models

    def model(self, device_id: str) -> str:
        """Return the name of the device's model, or "" if nobody said."""
        return self.models.get(device_id, "")


def local(addresses: Iterable[str]) -> Lending:
    """Return what the gateway's own file says: these devices, or every one if it names none."""
    models = {address.upper(): "" for address in addresses}
    return Lending(MappingProxyType(models), serves_others=not models)


def remote(config: GatewayConfig) -> Lending:
    """Return what the server says: its list and nothing else, unless it says otherwise."""
    models = {lent.device_id.upper(): lent.model for lent in config.devices}
    return Lending(MappingProxyType(models), serves_others=config.serves_others)
