"""Channel: one address of somebody's, and the function that carries a message there."""

import traceback
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final, Protocol

import httpx
import structlog

from alerts.channels import handed_over
from alerts.channels.handed_over import HandedOver
from alerts.channels.mail import Mail
from alerts.channels.message import Kind, Message
from alerts.channels.outcome import Fault, Outcome, unknown
from alerts.channels.settings import MailSettings, SmsSettings, VoiceSettings
from alerts.channels.sms import Sms
from alerts.channels.voice import Voice

_log = structlog.get_logger()


class Carrier(Protocol):
    """Carries messages by one kind of channel. Total: the world's failures are outcomes."""

    async def send(self, address: str, message: Message, attempt_id: int | None) -> Outcome:
        """Try once, in bounded time.

        Args:
            address: Where to.
            message: What.
            attempt_id: By which a receipt is to name the try; none: no receipt is wanted.
        """


async def send_safely(
    carrier: Carrier, address: str, message: Message, attempt_id: int | None
) -> Outcome:
    """Try once, even with a carrier that is not total.

    The only place where whatever is raised ends one try and not the process: what a provider
    answers must not keep everybody else from being told. That it is unknown opens an incident.
    """
    try:
        return await carrier.send(address, message, attempt_id)
    except Exception as error:  # noqa: BLE001 - said above
        last = traceback.extract_tb(error.__traceback__)[-1]
        problem = type(error).__name__  # its words may hold the address
        _log.error(
            "sending.carrier_broke",
            attempt=attempt_id,
            problem=problem,
            place=f"{last.name}:{last.lineno}",
        )
        return unknown(f"our own fault while sending: {problem}", Fault.OURS)


@dataclass(frozen=True, slots=True)
class Carriers:
    """Those of this installation. A kind that is not among them reaches nobody."""

    by_kind: Mapping[Kind, Carrier]
    public_url: str
    receipt_secret_file: Path | None = None  # none: no receipts come here

    @property
    def kinds(self) -> list[str]:
        """Their names, as a channel's row has them."""
        return sorted(self.by_kind)


# Open connections to a provider are kept for the next message; more at once than senders are none.
_LIMITS: Final = httpx.Limits(max_connections=64, max_keepalive_connections=8)


@asynccontextmanager
async def open_carriers(
    mail: MailSettings | None,
    sms: SmsSettings | None,
    public_url: str | None,
    voice: VoiceSettings | None = None,
) -> AsyncIterator[Carriers]:
    """Give what the configuration allows. Without a public address nobody is told of anything."""
    async with httpx.AsyncClient(limits=_LIMITS, follow_redirects=False) as client:
        found: dict[Kind, Carrier] = {}
        if public_url is not None:
            handed_over.load()
            found[Kind.APPRISE] = HandedOver()
        if public_url is not None and mail is not None:
            found[Kind.EMAIL] = Mail(mail)
        if public_url is not None and sms is not None:
            found[Kind.SMS] = Sms(sms, public_url, client)
        if voice is not None:
            found[Kind.VOICE] = Voice(voice, client)
        secret_file = sms.callback_secret_file if Kind.SMS in found and sms else None
        yield Carriers(MappingProxyType(found), public_url or "", secret_file)
