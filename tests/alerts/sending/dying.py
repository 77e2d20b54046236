"""A sender as a process of its own that dies at a point of its way: ``dying.py POINT`` + JSON.

The points lie where the real loop calls what it was given: the clock and the carriers.
"""

import asyncio
import json
import os
import signal
import sys
from dataclasses import replace
from datetime import datetime
from typing import Any

from psycopg_pool import AsyncConnectionPool

from alerts.channels.channel import Carrier, open_carriers
from alerts.channels.message import Message
from alerts.channels.outcome import Outcome
from alerts.channels.settings import MailSettings, SmsSettings
from alerts.sending import loop, store

POINTS = ("before the row", "before sending", "after sending", "before the mark")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Dying:
    """A carrier that dies with its message in its hands, or just handed over."""

    def __init__(self, carrier: Carrier, point: str) -> None:
        self._carrier, self._point = carrier, point

    async def send(self, address: str, message: Message, attempt_id: int | None) -> Outcome:
        if self._point == "before sending":
            die()
        outcome = await self._carrier.send(address, message, attempt_id)
        if self._point == "after sending":
            die()
        self.has_sent = True
        return outcome


async def main(point: str, told: dict[str, Any]) -> None:
    async with (
        open_carriers(
            MailSettings(**told["mail"]), SmsSettings(**told["sms"]), told["public_url"]
        ) as carriers,
        AsyncConnectionPool(told["dsn"], open=False, kwargs={"autocommit": True}) as pool,
    ):
        dying = {kind: Dying(carrier, point) for kind, carrier in carriers.by_kind.items()}

        async def clock(connection: store.Connection) -> datetime:
            has_sent = any(hasattr(one, "has_sent") for one in dying.values())
            if point == "before the row" or (point == "before the mark" and has_sent):
                die()
            return await store.now(connection)

        await loop.run(pool, replace(carriers, by_kind=dying), clock)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], json.loads(sys.argv[2])))
