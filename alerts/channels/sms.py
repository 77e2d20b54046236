"""SMS over 46elks' HTTP interface (46elks.se/docs/send-sms, sms-delivery-reports).

A request names sender, number, text and where receipts go; the answer names the message. Each
receipt is a form: ``id``, and ``status`` "sent", "delivered" or "failed".
"""

import asyncio
from dataclasses import dataclass
from typing import Any, Final

import httpx

from alerts.channels import receipt
from alerts.channels.message import Message
from alerts.channels.outcome import Fault, Outcome, State, failed, said, unknown
from alerts.channels.settings import SmsSettings
from ingest.settings import read_secret

# From connecting to the whole answer; it usually takes a fraction of a second.
SEND_S_MAX: Final = 20.0
# An answer is some hundred bytes; a page of a proxy in between may be anything.
ANSWER_BYTES_MAX: Final = 64 * 1024
KEY_CHARS_MAX: Final = 100
_OVERLOADED: Final = (408, 425, 429)


@dataclass(frozen=True, slots=True)
class Sms:
    """Sends through one account."""

    settings: SmsSettings
    public_url: str
    client: httpx.AsyncClient
    wait_s: float = SEND_S_MAX

    async def send(self, address: str, message: Message, attempt_id: int | None) -> Outcome:
        """Ask for one SMS to be sent."""
        try:
            form = self._form(address, message, attempt_id)
            key = (self.settings.username, read_secret(self.settings.password_file))
        except OSError as error:
            return failed(Fault.OURS, f"a secret cannot be read: {error.strerror}")
        try:
            async with asyncio.timeout(self.wait_s):
                return await self._post(form, key)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            return failed(Fault.PROVIDER, f"not reached: {type(error).__name__}")
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            return failed(Fault.OURS, f"sms.url: {type(error).__name__}")
        except (httpx.HTTPError, TimeoutError) as error:  # asked, and then nothing certain
            return unknown(f"no whole answer: {type(error).__name__}")

    def _form(self, address: str, message: Message, attempt_id: int | None) -> dict[str, str]:
        form = {"from": self.settings.sender, "to": address, "message": message.text}
        if attempt_id is not None:
            secret = read_secret(self.settings.callback_secret_file)
            form["whendelivered"] = receipt.address(self.public_url, secret, attempt_id)
        return form

    async def _post(self, form: dict[str, str], key: tuple[str, str]) -> Outcome:
        async with self.client.stream(
            "POST", self.settings.url, data=form, auth=key, timeout=self.wait_s
        ) as answer:
            body = b""
            async for piece in answer.aiter_bytes():
                body += piece
                if len(body) > ANSWER_BYTES_MAX:
                    break
        return _outcome(answer.status_code, body)


def _outcome(status: int, body: bytes) -> Outcome:
    """Return what an answer means."""
    told = f"{status} {body[:1000].decode(errors='replace')}"
    if status >= httpx.codes.INTERNAL_SERVER_ERROR or status in _OVERLOADED:
        return failed(Fault.PROVIDER, told)
    if status != httpx.codes.OK:
        # A number that was verified is well formed, so even "bad request" speaks of our account,
        # sender or address.
        return failed(Fault.OURS, told)
    return _taken(body)


def _taken(body: bytes) -> Outcome:
    try:
        answer: Any = httpx.Response(200, content=body).json()
    except (ValueError, RecursionError):  # of a million brackets, the latter
        return unknown(f"200 and no JSON: {body[:200].decode(errors='replace')}")
    key = answer.get("id") if isinstance(answer, dict) else None
    if not isinstance(key, str) or not 0 < len(key) <= KEY_CHARS_MAX or not key.isprintable():
        return unknown("200 and no id")
    status = str(answer.get("status", ""))
    if status == "failed":
        return failed(Fault.PROVIDER, f"200 {status}")
    return Outcome(state=State.ACCEPTED, provider_key=key, reply=said(f"200 {status}"))
