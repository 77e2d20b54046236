"""Bumble's host and device as a gateway needs them: legacy commands, reports as they come."""

from collections.abc import Callable
from typing import Any

from bumble import hci
from bumble.device import Device
from bumble.host import Host
from bumble.smp import AddressResolver

Report = hci.HCI_LE_Advertising_Report_Event.Report


class CentralDevice(Device):
    """Bumble's device, with advertising reports as they come instead of gathered ones."""

    on_report: Callable[[Report], None] | None = None

    def on_advertising_report(
        self, report: Report | hci.HCI_LE_Extended_Advertising_Report_Event.Report
    ) -> None:
        if self.on_report is not None and isinstance(report, Report):
            self.on_report(report)

    async def refresh_resolving_list(self) -> None:
        """Take the keys that resolve private addresses, after a bond was made or let go."""
        assert self.keystore is not None  # given at the start
        self.address_resolver = _Resolver(await self.keystore.get_resolving_keys())


class _Resolver(AddressResolver):
    """Resolves what was heard.

    Bumble would scan by itself for a device it is told to connect to by its identity, beside
    the permanent scanner; ours connects to the address that was heard.
    """

    def can_resolve_to(self, address: hci.Address) -> bool:
        del address
        return False


class LegacyHost(Host):
    """A host that uses the legacy commands alone, as home devices' advertisements need.

    A controller refuses legacy and extended commands mixed (Core 5.4, Vol 4, Part E, 3.1.1).
    """

    async def reset(self, *args: Any, **kwargs: Any) -> None:
        await super().reset(*args, **kwargs)
        self.local_le_features &= ~(
            hci.LeFeatureMask.LL_PRIVACY | hci.LeFeatureMask.LE_EXTENDED_ADVERTISING
        )
        for command in (
            hci.HCI_LE_EXTENDED_CREATE_CONNECTION_COMMAND,
            hci.HCI_LE_SET_EXTENDED_SCAN_ENABLE_COMMAND,
        ):
            self.local_supported_commands &= ~hci.HCI_SUPPORTED_COMMANDS_MASKS[command]
