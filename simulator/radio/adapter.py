"""A gateway's adapter: a controller at the end of a socket, which can get stuck as real ones do."""

import asyncio
from dataclasses import dataclass, field

from bumble import hci
from bumble.transport.common import StreamPacketSink

from simulator.radio.air import Air
from simulator.radio.controller import Advertised, RadioController
from simulator.radio.fault import Cure, Fault, Misuse


@dataclass(slots=True)
class AdapterCondition:
    """How the adapters in a room are; a real one stays stuck when it is plugged in again.

    Attributes:
        is_touchy: Misuse freezes it.
        fault: How it is stuck, if it is.
        until: What cures that.
        misuses: What was done to it that freezes a touchy one.
        scans_started: How often scanning was switched on.
        resets: How often it was reset.
        links_most: The most connections it had at one time.
    """

    is_touchy: bool = False
    fault: Fault | None = None
    until: Cure = Cure.NOTHING
    misuses: list[Misuse] = field(default_factory=list)
    scans_started: int = 0
    resets: int = 0
    links_most: int = 0

    @property
    def is_frozen(self) -> bool:
        """Whether it was misused and answers nothing any more."""
        return self.is_touchy and bool(self.misuses)

    def stick(self, fault: Fault, until: Cure) -> None:
        """Get stuck now."""
        self.fault, self.until = fault, until

    def cure(self, by: Cure) -> None:
        """Take note that something was done that may help."""
        if self.until <= by:
            self.fault = None


# Every adapter one can buy has a public address. Without one Linux connects under the passing
# address of its last scan (6.1, hci_set_random_addr_sync), and no bond is found again.
PUBLIC_ADDRESS = hci.Address("02:1A:7D:DA:71:13", hci.Address.PUBLIC_DEVICE_ADDRESS)


class AdapterController(RadioController):
    """A controller whose host sits at the other end of a socket."""

    def __init__(
        self, name: str, air: Air, socket: asyncio.WriteTransport, condition: AdapterCondition
    ) -> None:
        super().__init__(name, air)
        self.public_address = PUBLIC_ADDRESS
        self._socket = socket
        self._condition = condition
        self.host = StreamPacketSink(socket)

    def unread_bytes(self) -> int:
        return self._socket.get_write_buffer_size()

    def on_hci_command_packet(self, command: hci.HCI_Command) -> None:
        is_reset = isinstance(command, hci.HCI_Reset_Command)
        is_mute = self._condition.fault is Fault.MUTE and not (
            is_reset and self._condition.until is not Cure.NOTHING
        )
        if not self._condition.is_frozen and not is_mute:
            super().on_hci_command_packet(command)

    def hear(self, heard: Advertised) -> None:
        if self._condition.fault is None and not self._condition.is_frozen:
            super().hear(heard)

    def create_le_connection(self, peer_address: hci.Address) -> None:
        super().create_le_connection(peer_address)
        condition = self._condition
        condition.links_most = max(condition.links_most, len(self.le_connections))

    def on_hci_reset_command(
        self, command: hci.HCI_Reset_Command
    ) -> hci.HCI_StatusReturnParameters:
        self._condition.resets += 1
        self._condition.cure(Cure.RESET)
        return super().on_hci_reset_command(command)

    def on_hci_le_set_scan_enable_command(
        self, command: hci.HCI_LE_Set_Scan_Enable_Command
    ) -> hci.HCI_StatusReturnParameters:
        if command.le_scan_enable:
            self._note_scan()
        if self._condition.fault is Fault.BUSY:
            return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.COMMAND_DISALLOWED_ERROR)
        return super().on_hci_le_set_scan_enable_command(command)

    def _note_scan(self) -> None:
        self._condition.scans_started += 1
        if self.le_scan_enable:
            self._condition.misuses.append(Misuse.SECOND_SCAN)
        if self.pending_le_connection is not None:
            self._condition.misuses.append(Misuse.SCAN_BESIDE_ATTEMPT)
        self._condition.cure(Cure.SCAN_RESTART)

    def on_hci_le_create_connection_command(
        self, command: hci.HCI_LE_Create_Connection_Command
    ) -> None:
        if self.pending_le_connection is not None or self.le_connections:
            self._condition.misuses.append(Misuse.SECOND_ATTEMPT)
        super().on_hci_le_create_connection_command(command)
