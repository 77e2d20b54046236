"""One request to a provider over HTTP, and what its answer means. Total: failures are outcomes."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from alerts.channels.outcome import Fault, Outcome, State, failed, said, unknown
from ingest.settings import read_secret

# From connecting to the whole answer; it usually takes a fraction of a second.
SEND_S_MAX: Final = 20.0
# An answer is some hundred bytes; a page of a proxy in between may be anything.
ANSWER_BYTES_MAX: Final = 64 * 1024
KEY_CHARS_MAX: Final = 100
_OVERLOADED: Final = (408, 425, 429)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    body: bytes

    @property
    def refusal(self) -> Outcome | None:
        """What a status that is no success means; none: it is one."""
        told = f"{self.status} {self.body[:1000].decode(errors='replace')}"
        if self.status >= httpx.codes.INTERNAL_SERVER_ERROR or self.status in _OVERLOADED:
            return failed(Fault.PROVIDER, told)
        # An address that was verified is well formed, so even "bad request" speaks of our account,
        # sender or address.
        return None if httpx.codes.is_success(self.status) else failed(Fault.OURS, told)


@dataclass(frozen=True, slots=True)
class Account:
    """Where to post, and as whom; the password is read when it is used."""

    url: str
    username: str
    password_file: Path


async def post(
    client: httpx.AsyncClient, account: Account, wait_s: float, **content: Any
) -> Answer | Outcome:
    """Post once, in bounded time.

    Args:
        client: Its connections are kept for the next message.
        account: Where to.
        wait_s: At most so long, from connecting to the whole answer.
        content: ``data`` or ``json``, as httpx has them.
    """
    try:
        key = (account.username, read_secret(account.password_file))
    except OSError as error:
        return failed(Fault.OURS, f"a secret cannot be read: {error.strerror}")
    try:
        async with (
            asyncio.timeout(wait_s),
            client.stream("POST", account.url, auth=key, timeout=wait_s, **content) as answer,
        ):
            body = b""
            async for piece in answer.aiter_bytes():
                body += piece
                if len(body) > ANSWER_BYTES_MAX:
                    break
        return Answer(answer.status_code, body)
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        return failed(Fault.PROVIDER, f"not reached: {type(error).__name__}")
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        return failed(Fault.OURS, f"the provider's url: {type(error).__name__}")
    except (httpx.HTTPError, TimeoutError) as error:  # asked, and then nothing certain
        return unknown(f"no whole answer: {type(error).__name__}")


def taken(answer: Answer, word: str, state: State) -> Outcome:
    """Return what an answer of 46elks means: the message's id, and a word on how it stands.

    Args:
        answer: A success.
        word: What the answer calls how it stands.
        state: Of one that it took.
    """
    try:
        told: Any = httpx.Response(200, content=answer.body).json()
    except (ValueError, RecursionError):  # of a million brackets, the latter
        return unknown(f"200 and no JSON: {answer.body[:200].decode(errors='replace')}")
    key = told.get("id") if isinstance(told, dict) else None
    if not isinstance(key, str) or not 0 < len(key) <= KEY_CHARS_MAX or not key.isprintable():
        return unknown("200 and no id")
    how = str(told.get(word, ""))
    if how == "failed":
        return failed(Fault.PROVIDER, f"200 {how}")
    return Outcome(state=state, provider_key=key, reply=said(f"200 {how}"))
