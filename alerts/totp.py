"""One-time codes of local accounts (TOTP, RFC 6238): six digits, a new one every thirty seconds.

The secret lies sealed in the database: who has only the database cannot make codes. No code counts
twice: the step of the last one is kept, and only a later one counts.
"""

import base64
import hashlib
import hmac
import re
import secrets
from datetime import datetime
from pathlib import Path
from typing import Final

import pyotp
import segno
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from psycopg import AsyncConnection

from ingest.settings import read_secret

ISSUER: Final = "Egenmonitorering"
STEP_S: Final = 30
# A phone's clock may be a step off either way, and typing takes time (RFC 6238, section 5.2).
_STEPS_OFF: Final = 1
_VERSION: Final = "1"
_NONCE_BYTES: Final = 12


class Unreadable(Exception):
    """A sealed secret cannot be opened: another key, another account's, or it was changed."""


class Seal:
    """Seals secrets for the database with the service's key."""

    def __init__(self, key: str) -> None:
        self._cipher = AESGCM(hashlib.sha256(b"egenmonitor totp 1\0" + key.encode()).digest())

    @classmethod
    def of(cls, path: Path | None) -> "Seal | None":
        """Return the seal whose key lies at *path*; none without a path."""
        return None if path is None else cls(read_secret(path))

    def seal(self, secret: str, account_id: int) -> str:
        """Return *secret* as text that only this key opens, and only for *account_id*."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, secret.encode(), _owner(account_id))
        return f"{_VERSION}:{base64.b64encode(nonce + sealed).decode()}"

    def open(self, sealed: str, account_id: int) -> str:
        """Return what was sealed.

        Raises:
            Unreadable: It was not sealed by this key for this account.
        """
        version, _, text = sealed.partition(":")
        try:
            raw = base64.b64decode(text, validate=True)
            if version != _VERSION or len(raw) <= _NONCE_BYTES:
                raise Unreadable
            opened = self._cipher.decrypt(
                raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], _owner(account_id)
            )
        except (ValueError, InvalidTag) as error:
            raise Unreadable from error
        return opened.decode()


def _owner(account_id: int) -> bytes:
    return f"account {account_id}".encode()


def new_secret() -> str:
    """Return a new secret in base32: 160 bits, as RFC 4226 recommends."""
    return pyotp.random_base32(32)


def address(secret: str, username: str) -> str:
    """Return the address that an authenticator app reads."""
    return pyotp.TOTP(secret).provisioning_uri(name=username, issuer_name=ISSUER)


def picture(secret: str, username: str) -> str:
    """Return the same as an SVG of its QR code: no style, no script, dark on light."""
    made: str = segno.make(address(secret, username), error="m", micro=False).svg_inline(
        scale=5, border=4, dark="#000", light="#fff", omitsize=True, svgclass="qr", lineclass=None
    )
    return made


def in_groups(secret: str) -> str:
    """Return *secret* as a person types it: in fours."""
    return " ".join(re.findall(".{1,4}", secret))


def step_of(secret: str, code: str, now: datetime) -> int | None:
    """Return the step (30 s since 1970) whose code *code* is, if it is one of now's; else None."""
    plain = re.sub(r"\s", "", code)
    if not re.fullmatch(r"[0-9]{6}", plain):
        return None
    totp, current = pyotp.TOTP(secret), int(now.timestamp()) // STEP_S
    found = None
    for step in range(current - _STEPS_OFF, current + _STEPS_OFF + 1):
        if hmac.compare_digest(totp.at(step * STEP_S), plain):
            found = step
    return found


async def use(connection: AsyncConnection, account_id: int, secret: str, code: str) -> bool:
    """Return whether *code* is right and was not used before; it is used now."""
    step = step_of(secret, code, await database_now(connection))
    if step is None:
        return False
    done = await connection.execute(
        "update account set totp_last_step = %(step)s where account_id = %(account_id)s"
        " and (totp_last_step is null or totp_last_step < %(step)s)",
        {"step": step, "account_id": account_id},
    )
    return done.rowcount == 1


async def database_now(connection: AsyncConnection) -> datetime:
    """Return what time it is."""
    cursor = await connection.execute("select now()")
    (now,) = await cursor.fetchone() or (None,)
    assert isinstance(now, datetime)
    return now
