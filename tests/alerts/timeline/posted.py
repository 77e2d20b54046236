"""A story whose messages go by a real mail server and a provider of SMS that speaks as 46elks does.

Every letter and every SMS that they are given must be expected.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from psycopg import AsyncConnection

from alerts.channels.channel import Carriers, open_carriers
from alerts.channels.settings import MailSettings, SmsSettings
from alerts.sending import loop, receipts
from alerts.sending.receipts import Status
from tests.alerts.sending.post import (
    ELKS_PASSWORD,
    ELKS_USER,
    Elks,
    Postbox,
    mail_server,
    sms_provider,
)
from tests.alerts.timeline.story import Story, shown


@dataclass
class Posted(Story):
    """What is heard are letters and SMS, as "08:12 anna sms".

    Attributes:
        reports: Whose telephones say at once that an SMS has arrived.
    """

    carriers: Carriers | None = None
    postbox: Postbox | None = None
    elks: Elks | None = None
    reports: frozenset[str] = frozenset()

    def mailbox(self, who: str, *, alone: bool = False) -> None:
        """Give somebody a mail address, after her telephone or instead of it."""
        if alone:
            self.without_channel(who)
        self._execute(
            "insert into channel (staff_id, kind, address, place, verified_at) "
            "values (%s, 'email', %s, 9, now())",
            self.staff(who),
            f"{self.staff(who)}@region.example",
        )

    async def receipt(self, number: int, status: Status = Status.DELIVERED) -> None:
        """Let the provider say what became of an SMS, counted from 0."""
        assert self.elks is not None
        attempt_id = int(self.elks.receipts[number].rsplit("/", 2)[1])
        await receipts.note(self.connection, attempt_id, self.elks.keys[number], status, self.now)

    async def _sends(self) -> int:
        assert self.carriers is not None
        assert self.postbox is not None
        assert self.elks is not None
        letters, calls = len(self.postbox.recipients), len(self.elks.messages)
        async with asyncio.TaskGroup() as tasks:
            looked = await loop.start(self.pool, self.carriers, tasks, set(), self._clock)
        for recipients in self.postbox.recipients[letters:]:
            self.heard += [f"{shown(self.now)} {self._at(one)} mail" for one in recipients]
        for number, message in enumerate(self.elks.messages[calls:], calls):
            who = self._at(message["to"])
            self.heard.append(f"{shown(self.now)} {who} sms")
            if who in self.reports:
                await self.receipt(number)
        return looked

    async def _clock(self, connection: AsyncConnection[Any]) -> datetime:
        return self.now

    def _at(self, address: str) -> str:
        return self._owner(
            int(self.world.one("select channel_id from channel where address = %s", address))
        )


@asynccontextmanager
async def post_offices(directory: Path) -> AsyncIterator[tuple[Carriers, Postbox, Elks]]:
    """A mail server and a provider of SMS on loopback, and the ways to them."""
    password, secret = directory / "elks", directory / "receipts"
    password.write_text(ELKS_PASSWORD)
    secret.write_text("kvitton-bevisas-med-detta")
    async with mail_server() as postbox, sms_provider() as elks:
        mail = MailSettings(
            host="127.0.0.1", port=postbox.port, tls="none", sender="larm@egenmonitor.example"
        )
        sms = SmsSettings(
            url=elks.url,
            username=ELKS_USER,
            password_file=password,
            sender="Egenmonitor",
            callback_secret_file=secret,
        )
        async with open_carriers(mail, sms, "https://egenmonitor.example") as carriers:
            yield carriers, postbox, elks
