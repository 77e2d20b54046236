"""Mail: handed to the region's own server, whose answer is kept (RFC 5321).

A server that takes a letter does not say when it is read, so nothing here is ever delivered.
"""

import asyncio
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime, localtime
from typing import Final

from aiosmtplib import (
    SMTP,
    SMTPConnectError,
    SMTPConnectTimeoutError,
    SMTPException,
    SMTPNotSupported,
    SMTPReadTimeoutError,
    SMTPRecipientRefused,
    SMTPRecipientsRefused,
    SMTPResponseException,
    SMTPServerDisconnected,
)

from alerts.channels.message import Message
from alerts.channels.outcome import Fault, Outcome, State, failed, said, unknown
from alerts.channels.settings import MAILBOX, MailSettings
from ingest.settings import read_secret

# From connecting to the last answer. A server within reach takes less than one second; six tries
# at three servers must fit into the two minutes after which another channel is tried.
SEND_S_MAX: Final = 20.0
_GOODBYE_S_MAX: Final = 1.0
PERMANENT: Final = 500
# RFC 3463: x.1.x speaks of the address, x.2.x of the mailbox.
_ENHANCED: Final = re.compile(r"\s*5\.([0-7])\.\d")
_OF_THE_ADDRESS: Final = ("1", "2")
# Without such a code: no mailbox, not here, full, no such name (RFC 5321 §4.2.2).
_NO_MAILBOX: Final = (550, 551, 552, 553)


@dataclass(frozen=True, slots=True)
class Mail:
    """Sends through one server; a connection for each letter."""

    settings: MailSettings
    wait_s: float = SEND_S_MAX

    async def send(self, address: str, message: Message, attempt_id: int | None) -> Outcome:
        """Hand one letter to the server."""
        if MAILBOX.fullmatch(address) is None:  # the library would make two of one
            return failed(Fault.ADDRESS, "this is no address")
        try:
            client = self._client()
        except OSError as error:
            return failed(Fault.OURS, f"a secret cannot be read: {error.strerror}")
        try:
            letter = self._letter(address, message, attempt_id)
            async with asyncio.timeout(self.wait_s):
                await client.connect()
                # One recipient, whatever the header is read as.
                _, reply = await client.send_message(letter, recipients=[address])
            await _take_leave(client)
        except SMTPException as error:
            return _refused(error)
        except TimeoutError:
            return unknown(f"no answer within {self.wait_s:.0f} s")
        except OSError as error:
            return failed(Fault.PROVIDER, f"{type(error).__name__}: {error.strerror or error}")
        except ValueError as error:  # nothing a letter can be addressed to
            return failed(Fault.ADDRESS, f"cannot be addressed: {type(error).__name__}")
        finally:
            client.close()
        return Outcome(
            state=State.HANDED_OVER, provider_key=str(letter["Message-ID"]), reply=said(reply)
        )

    def _letter(self, address: str, message: Message, attempt_id: int | None) -> EmailMessage:
        sender = self.settings.sender
        letter = EmailMessage()
        letter["From"] = f"Egenmonitor <{sender}>"
        letter["To"] = address
        letter["Subject"] = message.subject
        letter["Date"] = format_datetime(localtime())
        mark = f"{attempt_id or 'test'}.{secrets.token_hex(8)}"
        letter["Message-ID"] = f"<{mark}@{sender.partition('@')[2]}>"
        letter["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday reply, please
        letter.set_content(message.text)
        return letter

    def _client(self) -> SMTP:
        settings = self.settings
        password = None if settings.password_file is None else read_secret(settings.password_file)
        return SMTP(
            hostname=settings.host,
            port=settings.port,
            username=settings.username,
            password=password,
            use_tls=settings.tls == "tls",
            start_tls=settings.tls == "starttls",
            # What we call ourselves; the machine's own name is nobody's business.
            local_hostname=settings.sender.partition("@")[2],
            timeout=self.wait_s,
        )


async def _take_leave(client: SMTP) -> None:
    """Say goodbye to a server that has the letter; if it does not answer, that changes nothing."""
    with suppress(SMTPException, TimeoutError):
        async with asyncio.timeout(_GOODBYE_S_MAX):
            await client.quit()


def _refused(error: SMTPException) -> Outcome:
    """Return what a refusal means. Never more certain than the server was."""
    match error:
        case SMTPRecipientsRefused(recipients=[SMTPRecipientRefused() as one, *_]):
            return failed(_fault_of_recipient(one.code, one.message), f"{one.code} {one.message}")
        case SMTPResponseException():  # at the greeting, login, sender or content
            fault = Fault.OURS if error.code >= PERMANENT else Fault.PROVIDER
            return failed(fault, f"{error.code} {error.message}")
        case SMTPConnectTimeoutError() | SMTPConnectError():
            return failed(Fault.PROVIDER, "the server cannot be reached")
        case SMTPReadTimeoutError() | SMTPServerDisconnected():
            return unknown("the connection was lost, or nothing was answered")
        case SMTPNotSupported():
            return failed(Fault.OURS, f"the server cannot do that: {error.message}")
        case _:
            return failed(Fault.PROVIDER, f"{type(error).__name__}: {error.message}")


def _fault_of_recipient(code: int, text: str) -> Fault:
    if code < PERMANENT:
        return Fault.PROVIDER
    enhanced = _ENHANCED.match(text)
    if enhanced is not None:
        return Fault.ADDRESS if enhanced[1] in _OF_THE_ADDRESS else Fault.OURS
    return Fault.ADDRESS if code in _NO_MAILBOX else Fault.OURS
