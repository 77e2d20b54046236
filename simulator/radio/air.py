"""The air between controllers: who hears whom, and what becomes of a link when one end goes."""

import asyncio

from bumble import core, hci, ll
from bumble.controller import Connection, Controller
from bumble.link import LocalLink

from simulator.radio.controller import Advertised, RadioController

# A real link is given up 0.1 to 32 s after the last packet (Core 5.4, Vol 6, Part B, 4.5.2),
# commonly after 5 s; a virtual one at the quick end of it, so that nobody waits.
SUPERVISION_S = 0.1


class Air(LocalLink):
    """Carries advertisements to who listens, and link traffic to the right end of its link.

    Args:
        supervision_s: When an end notices that the other has gone without a word.
    """

    def __init__(self, supervision_s: float = SUPERVISION_S) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Bumble's is not annotated
        self.supervision_s = supervision_s
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
        self.end_links(controller)

    def end_links(self, controller: Controller) -> None:
        """End a controller's links without a goodbye: the other ends notice after a while."""
        links = tuple(controller.le_connections.values())
        controller.le_connections.clear()
        for link in links:
            for peer in self.controllers:
                other_end = peer.le_connections.get(link.self_address)
                if other_end and other_end.self_address == link.peer_address:
                    asyncio.get_running_loop().call_later(
                        self.supervision_s, _time_out, peer, other_end
                    )

    def abort(self, request: ll.ConnectInd) -> None:
        """Leave a connection request without an answer: the link was opened in vain."""
        failed = ll.TerminateInd(hci.HCI_ErrorCode.CONNECTION_FAILED_TO_BE_ESTABLISHED_ERROR)
        self.send_ll_control_pdu(request.advertiser_address, request.initiator_address, failed)

    def send_advertising_pdu(
        self, _sender_controller: Controller, packet: ll.AdvertisingPdu
    ) -> None:
        """Carry a connection request; advertisements go through ``advertise``."""
        assert isinstance(packet, ll.ConnectInd)
        for controller in self.controllers:
            advertiser = controller.le_legacy_advertiser
            if advertiser.enabled and advertiser.address == packet.advertiser_address:
                controller.on_le_connect_ind(packet)
                return
        self.abort(packet)  # another central was first

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


def _time_out(peer: Controller, link: Connection) -> None:
    """End *link* at *peer*, unless it has ended otherwise meanwhile."""
    if peer.le_connections.get(link.peer_address) is link:
        gone = ll.TerminateInd(hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR)
        peer.on_ll_control_pdu(link.peer_address, gone)
