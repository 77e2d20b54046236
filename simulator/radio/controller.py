"""One Bluetooth controller on the air: Bumble's, corrected where it departs from a real one.

Source: Bluetooth Core 5.4, Vol 4, Part E (HCI) and Vol 6, Part B (link layer). Only the
legacy advertising commands are offered: home devices use nothing else, and a host that sees
the extended ones offered uses them for what this controller cannot do.
"""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bumble import controller, hci, ll

if TYPE_CHECKING:
    from simulator.radio.air import Air

ADVERTISING_UNIT_S = 0.000625  # advertising intervals are counted in 0.625 ms
RSSI_DBM = -60  # a device in the same room

# A host that stops reading its socket loses advertisements, as it would on a real radio; its
# commands and connections are still answered. 64 KiB is about a thousand reports.
UNREAD_BYTES_MAX = 65536

_Kind = hci.HCI_LE_Set_Advertising_Parameters_Command.AdvertisingType
_Report = hci.HCI_LE_Advertising_Report_Event.Report
_Event = hci.HCI_LE_Advertising_Report_Event.EventType


@dataclass(frozen=True, slots=True)
class Advertised:
    """What one advertising event puts on the air, with the answer to a scan request."""

    address: hci.Address
    kind: int
    advertising_data: bytes
    scan_response: bytes

    @property
    def is_connectable(self) -> bool:
        return self.kind == _Kind.ADV_IND

    @property
    def is_scannable(self) -> bool:
        return self.kind in (_Kind.ADV_IND, _Kind.ADV_SCAN_IND)

    def reports(self, *, active: bool) -> list[_Report]:
        """Return what a scanning host hears; an *active* one asks for the scan response."""
        heard = [self._report(_Event(self.kind), self.advertising_data)]
        if active and self.is_scannable:
            heard.append(self._report(_Event.SCAN_RSP, self.scan_response))
        return heard

    def _report(self, event: _Event, payload: bytes) -> _Report:
        return _Report(
            event_type=event,
            address_type=self.address.address_type,
            address=self.address,
            data=payload,
            rssi=RSSI_DBM,
        )


class Advertiser(controller.LegacyAdvertiser):
    """Sends every kind of legacy advertisement, at the interval the host asked for."""

    def _on_timer_fired(self) -> None:
        self.send_advertising_data()
        if self.enabled:  # a central may have connected just now
            self.timer_handle = asyncio.get_running_loop().call_later(
                self.advertising_interval_min * ADVERTISING_UNIT_S, self._on_timer_fired
            )

    def send_advertising_data(self) -> None:
        assert isinstance(self.controller, RadioController)
        if self.enabled:
            self.controller.air.advertise(
                Advertised(
                    self.address,
                    self.advertising_type,
                    self.advertising_data,
                    self.scan_response_data,
                )
            )


class RadioController(controller.Controller):
    """Bumble's virtual controller with the air's rules; one for each host and each device."""

    le_features = (
        controller.Controller.le_features
        & ~hci.LeFeatureMask.LL_PRIVACY
        & ~hci.LeFeatureMask.LE_EXTENDED_ADVERTISING
    )

    def __init__(self, name: str, air: "Air") -> None:
        super().__init__(name, link=air)
        self.air = air
        self.le_legacy_advertiser: Advertiser = Advertiser(self)
        self.aborts = 0  # so many connections break before they are answered

    def unread_bytes(self) -> int:
        """Return how much the host has not read yet; a host in this process reads at once."""
        return 0

    def on_le_connect_ind(self, packet: ll.ConnectInd) -> None:
        """Answer a connection request, or break the link before it began."""
        if self.aborts:
            self.aborts -= 1
            self.air.abort(packet)
        else:
            super().on_le_connect_ind(packet)

    def on_hci_reset_command(
        self, command: hci.HCI_Reset_Command
    ) -> hci.HCI_StatusReturnParameters:
        """Be as after switching on: silent, alone and deaf (7.3.2)."""
        self.le_scan_enable = False
        self.pending_le_connection = None
        self.le_legacy_advertiser.stop()
        self.air.end_links(self)
        self._tune()
        return super().on_hci_reset_command(command)

    def hear(self, heard: Advertised) -> None:
        """Take one advertisement: report it if scanning, connect if that was asked for."""
        if self.le_scan_enable and self.unread_bytes() <= UNREAD_BYTES_MAX:
            for report in heard.reports(active=self.le_scan_type == 1):
                self.send_hci_packet(hci.HCI_LE_Advertising_Report_Event([report]))
        wanted = self.pending_le_connection
        if wanted and heard.is_connectable and wanted.peer_address == heard.address:
            self.create_le_connection(heard.address)
            self._tune()

    def on_ll_control_pdu(self, sender_address: hci.Address, packet: ll.ControlPdu) -> None:
        # Both sides may end a link at the same moment; the second PDU finds it gone.
        if sender_address in self.le_connections:
            super().on_ll_control_pdu(sender_address, packet)

    def on_hci_le_set_scan_enable_command(
        self, command: hci.HCI_LE_Set_Scan_Enable_Command
    ) -> hci.HCI_StatusReturnParameters:
        answer = super().on_hci_le_set_scan_enable_command(command)
        self._tune()
        return answer

    def on_hci_le_create_connection_command(
        self, command: hci.HCI_LE_Create_Connection_Command
    ) -> None:
        super().on_hci_le_create_connection_command(command)
        self._tune()

    def on_hci_le_create_connection_cancel_command(
        self, _command: hci.HCI_LE_Create_Connection_Cancel_Command
    ) -> hci.HCI_StatusReturnParameters:
        """End the attempt: the host hears of it by a Connection Complete event (7.8.13)."""
        wanted, self.pending_le_connection = self.pending_le_connection, None
        self._tune()
        if wanted is None:
            return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.COMMAND_DISALLOWED_ERROR)
        # After the answer to this command, as the specification orders it.
        asyncio.get_running_loop().call_soon(
            self.send_hci_packet,
            hci.HCI_LE_Connection_Complete_Event(
                status=hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR,
                connection_handle=0,
                role=hci.Role.CENTRAL,
                peer_address_type=wanted.peer_address.address_type,
                peer_address=wanted.peer_address,
                connection_interval=0,
                peripheral_latency=0,
                supervision_timeout=0,
                central_clock_accuracy=0,
            ),
        )
        return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.SUCCESS)

    def on_hci_disconnect_command(self, command: hci.HCI_Disconnect_Command) -> None:
        """End a link; one that ended meanwhile is answered with an error, not with silence."""
        if self.find_connection_by_handle(command.connection_handle) is None:
            self._send_hci_command_status(
                hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR, command.op_code
            )
        else:
            super().on_hci_disconnect_command(command)

    def _tune(self) -> None:
        self.air.tune(self, listening=self.le_scan_enable or bool(self.pending_le_connection))
