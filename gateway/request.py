"""Request: carries out what a driver asks of a connected device. Never fatal, never long."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from bleak import BleakClient

from devices.drivers import Read, Request, SetClock, Subscribe, Write
from devices.gatt.date_time import encode_clock
from gateway.connection import RADIO_ERRORS, REQUEST_S_MAX
from gateway.log import get_logger
from gateway.radio import Radio, Refusal

_log = get_logger()

Take = Callable[[str, bytes | bytearray], None]


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a request.

    Attributes:
        is_given: The device did it.
        refusal: Why not, if it said so.
        is_awaited: It has not answered in time. Nothing more may be asked of it: one request may
            be outstanding, and after one that timed out none may follow (Core 5.4, Vol 3,
            Part F, 3.3.2 and 3.3.3).
    """

    is_given: bool
    refusal: Refusal | None = None
    is_awaited: bool = False


_GIVEN: Final = Answer(is_given=True)
_NOT_ASKED: Final = Answer(is_given=False)


async def ask(
    radio: Radio,
    client: BleakClient,
    request: Request,
    take: Take,
    *,
    local_now: Callable[[], datetime],
    may_set_clock: Callable[[], bool],
) -> Answer:
    """Carry out *request*; values go to *take*.

    Args:
        radio: Whose client it is.
        client: The device.
        request: What is asked.
        take: Called with source and payload.
        local_now: The device's local time, naive.
        may_set_clock: Whether the gateway knows what time it is.
    """
    try:
        async with asyncio.timeout(REQUEST_S_MAX):
            match request:
                case Subscribe(characteristic):
                    source = characteristic
                    await client.start_notify(source, lambda _, payload: take(source, payload))
                case Read(characteristic):
                    take(characteristic, await client.read_gatt_char(characteristic))
                case Write(characteristic, payload):
                    await client.write_gatt_char(characteristic, payload, response=True)
                case SetClock(characteristic):
                    if not may_set_clock():
                        return _NOT_ASKED
                    clock = encode_clock(characteristic, local_now())
                    await client.write_gatt_char(characteristic, clock, response=True)
    except RADIO_ERRORS as error:
        _log.debug("session.unanswered", request=repr(request), error=repr(error))
        is_awaited = isinstance(error, TimeoutError)
        return Answer(is_given=False, refusal=radio.refusal(error), is_awaited=is_awaited)
    return _GIVEN
