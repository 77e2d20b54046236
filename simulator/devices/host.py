"""PeripheralHost: Bumble's device as the inside of a virtual one; tells what is asked of it."""

from collections.abc import Callable, Collection
from typing import Any, NamedTuple

from bumble import att, gatt, hci
from bumble.device import Connection, Device, DeviceConfiguration
from bumble.host import Host
from bumble.pairing import PairingConfig, PairingDelegate

from simulator.devices.quirks import Pairing, Quirks
from simulator.radio.controller import RadioController

# What a tester or a test reads of a device's past: a long session has about a thousand.
ASKED_MAX = 5000

_KEYS = PairingDelegate.KeyDistribution


class Asked(NamedTuple):
    """One request of a central.

    Attributes:
        what: Bumble's name of the request, without ``ATT_``: ``READ_REQUEST`` and so on.
        uuid: Of the attribute it is about, as 4 digits or whole; "" if it names none.
        of: Of the characteristic that attribute belongs to; "" if to none.
        payload: What was written.
        is_encrypted: Whether the link was.
        connection: Counts the connections since the device was made, from 1.
    """

    what: str
    uuid: str
    of: str
    payload: bytes
    is_encrypted: bool
    connection: int


class PeripheralHost(Device):
    """A peripheral's host that tells of each request before it is answered.

    Args:
        on_asked: Called with each request; False means that it is not answered.
    """

    def __init__(
        self,
        configuration: DeviceConfiguration,
        controller: RadioController,
        on_asked: Callable[[Asked], bool],
    ) -> None:
        super().__init__(config=configuration, host=Host(controller, controller))
        self.connections_made = 0
        self._everything: tuple[att.Attribute[Any], ...] = ()
        self._on_asked = on_asked
        self.on(Device.EVENT_CONNECTION, self._count)

    def on_gatt_pdu(self, connection_handle: int, pdu: bytes) -> None:
        """Take an ATT PDU; those with an even opcode are requests, commands and confirmations."""
        connection = self.lookup_connection(connection_handle)
        request = att.ATT_PDU.from_bytes(pdu)
        is_answer = isinstance(request, att.ATT_Handle_Value_Confirmation)
        is_asking = not request.op_code & 1 and not is_answer
        if connection and is_asking and not self._on_asked(self._asked(connection, request)):
            return
        super().on_gatt_pdu(connection_handle, pdu)

    def offer_services(self, *, without: Collection[gatt.Service]) -> None:
        """Let centrals find every service that was added but those in *without*."""
        self._everything = self._everything or tuple(self.gatt_server.attributes)
        hidden = [range(each.handle, each.end_group_handle + 1) for each in without]
        self.gatt_server.attributes = [
            attribute
            for attribute in self._everything
            if not any(attribute.handle in handles for handles in hidden)
        ]

    def _count(self, _connection: Connection) -> None:
        self.connections_made += 1

    def _asked(self, connection: Connection, request: Any) -> Asked:
        handle = getattr(request, "attribute_handle", 0)
        named = self.gatt_server.get_attribute(handle) if handle else None
        return Asked(
            request.name.removeprefix("ATT_"),
            _short(named),
            _short(self._characteristic_at(handle)) if handle else "",
            bytes(getattr(request, "attribute_value", b"")),
            connection.is_encrypted,
            self.connections_made,
        )

    def _characteristic_at(self, handle: int) -> att.Attribute[Any] | None:
        for attribute in self.gatt_server.attributes:
            is_one = isinstance(attribute, gatt.Characteristic)
            if is_one and attribute.handle <= handle <= attribute.end_group_handle:
                return attribute
        return None


class Display(PairingDelegate):
    """How a virtual device pairs, and what it shows meanwhile."""

    def __init__(self, quirks: Quirks, *, on_show: Callable[[int], None]) -> None:
        self._quirks = quirks
        self._shows = quirks.pairing is Pairing.SHOWS_PASSKEY
        self._on_show = on_show
        # A device whose address never changes is known by it.
        identity = _KEYS.DISTRIBUTE_IDENTITY_KEY if quirks.changes_address else _KEYS(0)
        super().__init__(
            self.DISPLAY_OUTPUT_ONLY if self._shows else self.NO_OUTPUT_NO_INPUT,
            local_initiator_key_distribution=_KEYS.DISTRIBUTE_ENCRYPTION_KEY,
            local_responder_key_distribution=_KEYS.DISTRIBUTE_ENCRYPTION_KEY | identity,
        )

    async def accept(self) -> bool:
        return self._quirks.pairing is not Pairing.REFUSES

    async def generate_passkey(self) -> int:
        chosen = self._quirks.passkey
        return await super().generate_passkey() if chosen is None else chosen

    async def display_number(self, number: int, digits: int) -> None:
        del digits  # always six
        self._on_show(number)

    def configuration(self) -> PairingConfig:
        """Return what the Security Manager asks for.

        Secure Connections: bonds from legacy pairing are looked up wrongly (google/bumble#890).
        """
        return PairingConfig(
            sc=True,
            mitm=self._shows,
            bonding=True,
            delegate=self,
            identity_address_type=PairingConfig.AddressType.RANDOM,
        )


async def change_address(device: Device) -> None:
    """Give *device* a new resolvable private address (Core 5.4, Vol 6, Part B, 1.3.2.2)."""
    address = hci.Address.generate_private_address(device.irk)
    await device.send_sync_command(hci.HCI_LE_Set_Random_Address_Command(random_address=address))
    device.random_address = address


def _short(attribute: att.Attribute[Any] | None) -> str:
    if attribute is None:
        return ""
    uuid = attribute.uuid if isinstance(attribute, gatt.Characteristic) else attribute.type
    return uuid.to_hex_str("-").lower()
