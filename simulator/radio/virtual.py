"""VirtualRadio: holds virtual devices and serves one controller to each connecting host."""

import asyncio
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Protocol, Self

from bumble.transport.common import StreamPacketSource

from simulator.radio.adapter import AdapterCondition, AdapterController
from simulator.radio.air import SUPERVISION_S, Air
from simulator.radio.controller import RadioController
from simulator.radio.fault import Cure, Fault

# A gateway has one adapter; a town of simulated homes has its own virtual radios.
HOSTS_MAX = 64

CANCEL_AGAIN_S = 0.05


class VirtualDevice(Protocol):
    """What the radio asks of a device: be switched on, live, be switched off."""

    @property
    def device_id(self) -> str:
        """The Bluetooth address as a gateway sees it, upper case."""

    async def switch_on(self, controller: RadioController) -> None:
        """Start the device's host on its *controller*."""

    async def run(self) -> None:
        """Behave like the device until cancelled."""

    async def switch_off(self) -> None:
        """Release what ``switch_on`` took."""


class VirtualRadio:
    """A room with devices in it, and a socket for each gateway's Bluetooth adapter.

    Each accepted socket speaks HCI (H4) to a controller of its own, which leaves the air when
    the socket closes. A device whose life ends in an exception ends the radio with it.

    Usage: ``async with VirtualRadio() as radio: await radio.attach(Cuff("BP-1"))``.

    Args:
        host: Where to listen.
        port: The same; 0 becomes the free port that was found.
        supervision_s: When an end of a link notices that the other has gone.
        is_touchy: The gateways' adapters freeze when they are misused.

    Attributes:
        adapter: How the gateways' adapters are.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        supervision_s: float = SUPERVISION_S,
        is_touchy: bool = False,
    ) -> None:
        self.host = host
        self.port = port
        self.adapter = AdapterCondition(is_touchy)
        self._air = Air(supervision_s)
        self._hosts: set[_HostSocket] = set()
        self._devices: dict[str, tuple[VirtualDevice, RadioController, asyncio.Task[None]]] = {}
        self._open = AsyncExitStack()

    @property
    def transport(self) -> str:
        """The HCI transport a gateway's configuration names."""
        return f"tcp-client:{self.host}:{self.port}"

    @property
    def hosts(self) -> int:
        """How many gateways are plugged in."""
        return len(self._hosts)

    async def attach(self, device: VirtualDevice) -> None:
        """Bring a device into the room and switch it on."""
        if device.device_id in self._devices:
            msg = f"two devices with address {device.device_id}"
            raise ValueError(msg)
        controller = RadioController(device.device_id, self._air)
        await device.switch_on(controller)
        life = self._lives.create_task(device.run(), name=f"device {device.device_id}")
        self._devices[device.device_id] = (device, controller, life)

    async def detach(self, device: VirtualDevice) -> None:
        """Carry a device out of range; a link with it ends without a goodbye."""
        _, controller, life = self._devices.pop(device.device_id)
        while not life.done():
            # Again if need be: before Python 3.12 ``wait_for``, in Bumble, loses a cancellation
            # that comes together with its answer.
            life.cancel()
            await asyncio.wait([life], timeout=CANCEL_AGAIN_S)
        self._air.remove_controller(controller)
        await device.switch_off()

    async def scanned(self) -> None:
        """Wait until a gateway scans."""
        await self._air.listened_to.wait()

    def stick(self, fault: Fault, until: Cure) -> None:
        """Let the gateways' adapters get stuck until they are cured."""
        self.adapter.stick(fault, until)

    def unplug_hosts(self) -> None:
        """Pull every gateway's adapter out; a gateway may plug in again at once."""
        for host in tuple(self._hosts):
            host.unplug()

    async def __aenter__(self) -> Self:
        self._lives = await self._open.enter_async_context(asyncio.TaskGroup())
        server = await asyncio.get_running_loop().create_server(
            lambda: _HostSocket(self._air, self._hosts, self.adapter), self.host, self.port
        )
        self.port = server.sockets[0].getsockname()[1]
        self._open.callback(server.close)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.unplug_hosts()
        try:
            for device, _, _ in tuple(self._devices.values()):
                await self.detach(device)
        finally:
            # A device's failure cancels the body and is raised here, as a group. The body's
            # own error is the caller's and passes as it is.
            if exc_type is asyncio.CancelledError:
                await self._open.__aexit__(exc_type, exc, traceback)
            else:
                await self._open.aclose()


class _HostSocket(StreamPacketSource):
    """One accepted socket: a host's adapter, plugged in until the socket closes."""

    def __init__(self, air: Air, hosts: "set[_HostSocket]", condition: AdapterCondition) -> None:
        super().__init__()
        self._air = air
        self._hosts = hosts
        self._condition = condition

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._socket = transport
        if len(self._hosts) >= HOSTS_MAX:
            transport.abort()
            return
        self._hosts.add(self)
        self._controller = AdapterController(
            f"host {id(self):x}", self._air, transport, self._condition
        )
        self.set_packet_sink(self._controller)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc  # however it ended, the adapter is gone
        if self in self._hosts:
            self._hosts.discard(self)
            self._controller.host = None
            self._air.remove_controller(self._controller)
        self.on_transport_lost()

    def unplug(self) -> None:
        self._socket.abort()
