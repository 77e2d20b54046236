"""The addresses that delivery receipts are sent to: one for each attempt, and nobody guesses them.

An address names the attempt and proves that we made it, so a receipt finds its attempt even if it
comes before the provider's answer, or after the death of who sent.
"""

import hashlib
import hmac
from typing import Final

PATH: Final = "/delivery/sms/{attempt_id}/{token}"
TOKEN_CHARS: Final = 43  # 256 bits would be 64; 43 hexadecimal digits are 172 bits


def token(secret: str, attempt_id: int) -> str:
    """Return the proof for *attempt_id*."""
    proof = hmac.new(secret.encode(), f"receipt {attempt_id}".encode(), hashlib.sha256)
    return proof.hexdigest()[:TOKEN_CHARS]


def address(public_url: str, secret: str, attempt_id: int) -> str:
    """Return where the provider is to send the receipts of *attempt_id*."""
    path = PATH.format(attempt_id=attempt_id, token=token(secret, attempt_id))
    return public_url.rstrip("/") + path


def is_ours(secret: str, attempt_id: int, proof: str) -> bool:
    """Return whether *proof* is the token of *attempt_id*."""
    return hmac.compare_digest(token(secret, attempt_id).encode(), proof.encode())
