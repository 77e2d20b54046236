"""The air between controllers: who hears whom, and what becomes of a link when one end goes."""

import asyncio

from bumble import core, hci, ll
from bumble.controller import Controller
from bumble.link import LocalLink

from simulator.radio.controller import Advertised, RadioController


class Air(LocalLink):
    """Carries advertisements to who listens, and link traffic to the right end of its link."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Bumble's is not annotated
        self._listening: set[RadioController] = set()
        self.listened_to = asyncio.Event()  # while somebody listens

    def tune(self, controller: RadioController, *, listening: bool) -> None:
        """Deliver advertisements to *controller* only while it scans or wants to connect.

        Hundreds of advertisers would otherwise spend their time on each other.
        """
        if listening:
            self._listening.add(controller)
            self.listened_to.set()
        else:
            self._listening.discard(controller)
            if not self._listening:
                self.listened_to.clear()

    def advertise(self, advertised: Advertised) -> None:
        for controller in tuple(self._listening):
            controller.hear(advertised)

    def remove_controller(self, controller: Controller) -> None:
        """Take a controller off the air; its links end as when a device goes out of range."""
        super().remove_controller(controller)
        controller.le_legacy_advertiser.stop()
        if isinstance(controller, RadioController):
            self.tune(controller, listening=False)
        for connection in tuple(controller.le_connections.values()):
            self.send_ll_control_pdu(
                connection.self_address,
                connection.peer_address,
                ll.TerminateInd(hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR),
            )
        controller.le_connections.clear()

    def send_advertising_pdu(
        self, sender_controller: Controller, packet: ll.AdvertisingPdu
    ) -> None:
        """Carry a connection request; advertisements go through ``advertise``."""
        assert isinstance(packet, ll.ConnectInd)
        for controller in self.controllers:
            advertiser = controller.le_legacy_advertiser
            if advertiser.enabled and advertiser.address == packet.advertiser_address:
                controller.on_le_connect_ind(packet)
                return
        # Another central was first: the link was opened and nobody answered on it.
        asyncio.get_running_loop().call_soon(
            sender_controller.on_ll_control_pdu,
            packet.advertiser_address,
            ll.TerminateInd(hci.HCI_ErrorCode.CONNECTION_FAILED_TO_BE_ESTABLISHED_ERROR),
        )

    def send_acl_data(
        self,
        sender_controller: Controller,
        destination_address: hci.Address,
        transport: core.PhysicalTransport,
        data: bytes,
    ) -> None:
        """Carry data by the addresses of its link, which need not be the random ones."""
        link = sender_controller.le_connections.get(destination_address)
        receiver = link and self._other_end(link.self_address, destination_address)
        if link and receiver:
            asyncio.get_running_loop().call_soon(
                receiver.on_link_acl_data, link.self_address, transport, data
            )

    def send_ll_control_pdu(
        self, sender_address: hci.Address, receiver_address: hci.Address, packet: ll.ControlPdu
    ) -> None:
        if receiver := self._other_end(sender_address, receiver_address):
            asyncio.get_running_loop().call_soon(receiver.on_ll_control_pdu, sender_address, packet)

    def _other_end(self, sender: hci.Address, receiver: hci.Address) -> Controller | None:
        for controller in self.controllers:
            link = controller.le_connections.get(sender)
            if link and link.self_address == receiver:
                return controller
        return None
