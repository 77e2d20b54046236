"""ConsentScale: a scale of several users, which speaks of nobody who has not consented.

User Data Service 1.0: a central registers a user and gets a slot, or consents for one with the
code it was registered with; consent lasts as long as the link. Before it some scales send
nothing at all, others send measurements of nobody (openScale#868, openScale#1216).
"""

import asyncio
import enum
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from bumble import gatt
from bumble.att import ATT_Error, Attribute, ErrorCode
from bumble.device import Connection

from devices.errors import MalformedPayload
from devices.gatt import uuids
from devices.gatt.user_control_point import (
    Operation,
    Result,
    UserControlRequest,
    UserControlResponse,
)
from devices.gatt.weight import WeightMeasurement
from simulator.devices import attributes
from simulator.devices.clock import DeviceClock, utc_now
from simulator.devices.quirks import Quirks
from simulator.devices.recording import Habits, Record
from simulator.devices.scale import Scale

SLOTS_MAX = 8
USER_UNKNOWN = 0xFF
GATHER_S = 0.2  # a scale that speaks of nobody does not wait long for a consent


class Unknown(enum.Enum):
    """What the scale does for a central that has not consented for anybody."""

    SILENT = "silent"  # it sends nothing
    NOBODY = "nobody"  # it sends what it has, as of user 0xFF


class ConsentScale(Scale):
    """Delivers a user's weighings to who has that user's code.

    Attributes:
        users: Codes by slot; a register adds one, and people add their own on the display.
        consents: How often a consent was given, and with it how often it was asked for.
    """

    def __init__(
        self,
        name: str,
        *,
        unknown: Unknown = Unknown.SILENT,
        address: str | None = None,
        habits: Habits | None = None,
        clock: DeviceClock | None = None,
        quirks: Quirks | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        super().__init__(name, address=address, habits=habits, clock=clock, quirks=quirks, now=now)
        self.unknown = unknown
        self.users: dict[int, int] = {}
        self.registered = 0
        self.consents = 0
        self._slot: int | None = None  # whose consent was given over this link
        self._consented = asyncio.Event()

    def _measuring_services(self) -> list[gatt.Service]:
        self._control = attributes.Characteristic(
            attributes.bumble_uuid(uuids.USER_CONTROL_POINT),
            attributes.WRITE | attributes.INDICATE,
            Attribute.WRITEABLE,
            gatt.CharacteristicValue[bytes](write=self._asked_for),
        )
        user_data = attributes.service(uuids.USER_DATA_SERVICE, self._control)
        return [*super()._measuring_services(), user_data]

    async def _transfer(self, connection: Connection) -> None:
        self._slot = None
        self._consented.clear()
        await super()._transfer(connection)

    async def _send_all(self, connection: Connection) -> None:
        is_silent = self.unknown is Unknown.SILENT
        try:
            async with asyncio.timeout(self.habits.patience_s if is_silent else GATHER_S):
                await self._consented.wait()
        except TimeoutError:
            if is_silent:
                raise
        await super()._send_all(connection)

    async def _indicate(self, connection: Connection, record: Record) -> None:
        if self._slot is None:
            record = Record({uuid: _of_nobody(each) for uuid, each in record.payloads.items()})
        await super()._indicate(connection, record)

    async def _asked_for(self, connection: Connection, payload: bytes) -> None:
        if not self._sends(connection, self._control):
            raise ATT_Error(ErrorCode.CCCD_IMPROPERLY_CONFIGURED)
        answer = self._answer(payload)
        server = self._device.gatt_server
        connection.cancel_on_disconnection(
            server.indicate_subscriber(connection, self._control, answer.encode())
        )
        if self._slot is not None:
            self._consented.set()

    def _answer(self, payload: bytes) -> UserControlResponse:
        try:
            request = UserControlRequest.decode(payload)
        except MalformedPayload:
            return UserControlResponse(
                operation=payload[0] if payload else 0, result=Result.INVALID_PARAMETER
            )
        done = UserControlResponse(operation=request.operation, result=Result.SUCCESS)
        if request.operation is Operation.REGISTER_NEW_USER and request.code is not None:
            return self._register(done, request.code)
        if request.operation is Operation.CONSENT and request.slot is not None:
            self.consents += 1
            if self.users.get(request.slot) != request.code:
                return replace(done, result=Result.NOT_AUTHORIZED)
            self._slot = request.slot
            return done
        return replace(done, result=Result.NOT_SUPPORTED)

    def _register(self, done: UserControlResponse, code: int) -> UserControlResponse:
        free = next((slot for slot in range(1, SLOTS_MAX + 1) if slot not in self.users), None)
        if free is None:
            return replace(done, result=Result.FAILED)
        self.users[free] = code
        self.registered += 1
        return replace(done, slot=free)


def _of_nobody(payload: bytes) -> bytes:
    measured = WeightMeasurement.decode(payload)
    return replace(measured, user_id=USER_UNKNOWN).encode()
