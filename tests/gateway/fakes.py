"""A radio and connections that go as a test says, as no virtual one can be made to go."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from types import SimpleNamespace
from typing import Any

from bleak.backends.device import BLEDevice
from bleak.exc import BleakError

from gateway.radio import AskPasskey, Refusal
from gateway.radio.refusal import RefusedError, refusal_of

NEVER = b"never"  # as an answer: none ever comes


class FakeClient:
    """A connection that goes as the test says; strict: it knows no other calls."""

    def __init__(self, radio: "FakeRadio", on_disconnect: Callable[[Any], None]) -> None:
        self.radio = radio
        self.on_disconnect = on_disconnect
        self.is_connected = False

    @property
    def services(self) -> list[SimpleNamespace]:
        if not self.is_connected:  # as bleak says it
            problem = "Service Discovery has not been performed yet"
            raise BleakError(problem)
        return [SimpleNamespace(uuid=uuid) for uuid in self.radio.services]

    async def connect(self) -> None:
        self.radio.calls.append("connect")
        if self.radio.refusals:
            raise self.radio.refusals.pop(0)
        if self.radio.never_links:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.radio.calls.append("let go")
                if self.radio.hangs:
                    await asyncio.Event().wait()
                if not self.radio.links_anyway:
                    raise
        self.is_connected = True
        await asyncio.sleep(self.radio.discovery_s)
        if self.radio.hangs_up_at_once:
            self.hang_up()

    async def start_notify(self, source: str, callback: Callable[[Any, bytearray], None]) -> None:
        self.radio.calls.append("subscribe")
        if (error := self.radio.denials.get(source)) is not None:
            raise error
        self.radio.send = lambda payload: callback(None, bytearray(payload))
        self.radio.sends[source] = self.radio.send
        for payload in self.radio.early:
            self.radio.send(payload)

    async def read_gatt_char(self, source: str) -> bytearray:
        self.radio.calls.append("read")
        answer = self.radio.answers.get(source)
        if answer is None:
            problem = "no such characteristic"
            raise BleakError(problem)
        if answer == NEVER:
            await asyncio.Event().wait()
        return bytearray(answer)

    async def write_gatt_char(self, source: str, payload: bytes, *, response: bool) -> None:
        assert response
        self.radio.calls.append("write")
        self.radio.written.append((source, bytes(payload)))

    async def disconnect(self) -> None:
        self.radio.calls.append("disconnect")
        for payload in self.radio.parting:
            self.radio.send(payload)
        self.hang_up()
        if self.radio.hang_up_error is not None:
            raise self.radio.hang_up_error

    def hang_up(self) -> None:
        """End the connection, as the device does."""
        self.is_connected = False
        self.on_disconnect(self)


class FakeRadio:
    """A radio whose connections do as told.

    Attributes:
        calls: What was done, in order.
        refusals: What the next attempts to connect fail with, one each.
        denials: What subscribing to a characteristic fails with.
        early: Sent before a subscription has returned.
        parting: Sent while the gateway hangs up.
        answers: To reads, by characteristic.
        never_links: The device has fallen silent: connecting does not end.
        hangs: Nor does it end when it is told to.
        links_anyway: The link comes about in the moment it is told to end.
        discovery_s: From the link to its services.
        hangs_up_at_once: The device ends the connection as soon as its services are found.
        hang_up_error: What hanging up fails with.
        services: What the device offers.
        bonds: Who we have a bond with.
        forgotten: Whom we were told to forget.
        visited: Whom a client was made for, each time.
        pairs: Whether the last client was to encrypt first.
    """

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.refusals: list[Exception] = []
        self.denials: dict[str, Exception] = {}
        self.early: list[bytes] = []
        self.parting: list[bytes] = []
        self.answers: dict[str, bytes] = {}
        self.written: list[tuple[str, bytes]] = []
        self.never_links = False
        self.hangs = False
        self.links_anyway = False
        self.discovery_s = 0.0
        self.hangs_up_at_once = False
        self.hang_up_error: Exception | None = None
        self.services: list[str] = []
        self.bonds: set[str] = set()
        self.forgotten: list[str] = []
        self.visited: list[str] = []
        self.pairs = False
        self.send: Callable[[bytes], None] = lambda _: None
        self.sends: dict[str, Callable[[bytes], None]] = {}
        self.clients: list[FakeClient] = []

    def scanner(self, detection_callback: Any) -> Any:
        raise NotImplementedError

    def client(
        self, device: BLEDevice, disconnected_callback: Any, *, timeout_s: float, pair: bool = False
    ) -> Any:
        self.pairs = pair
        self.visited.append(device.address)
        self.clients.append(FakeClient(self, disconnected_callback))
        return self.clients[-1]

    async def is_bonded(self, device_id: str) -> bool:
        return device_id in self.bonds

    async def forget(self, device_id: str) -> None:
        self.forgotten.append(device_id)
        self.bonds.discard(device_id)

    def pairing(
        self, device_id: str, ask_passkey: AskPasskey | None
    ) -> AbstractAsyncContextManager[None]:
        raise NotImplementedError

    def refusal(self, error: BaseException) -> Refusal | None:
        return refusal_of(error)

    async def power_cycle(self) -> None:
        raise NotImplementedError

    async def lost(self) -> None:
        raise NotImplementedError


def refused(refusal: Refusal) -> RefusedError:
    """Return what a client raises when a device does not let us in."""
    return RefusedError(f"refused: {refusal.value}", refusal)
