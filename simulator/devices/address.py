"""Random static addresses for virtual devices (Core 5.4, Vol 6, Part B, 1.3.2.1)."""

import hashlib
import re

_ADDRESS_OCTETS = 6
_KEY_OCTETS = 16
_STATIC = re.compile(r"[C-F][0-9A-F](:[0-9A-F]{2}){5}")


def static_address(seed: str) -> str:
    """Return the address that belongs to *seed*: always the same, upper case, first bits 11."""
    octets = bytearray(hashlib.sha256(f"device {seed}".encode()).digest()[:_ADDRESS_OCTETS])
    octets[0] |= 0xC0
    return octets.hex(":").upper()


def identity_key(address: str) -> bytes:
    """Return the Identity Resolving Key of the device with this static address: always the same."""
    return hashlib.sha256(f"identity {address}".encode()).digest()[:_KEY_OCTETS]


def checked_address(address: str) -> str:
    """Return *address* in upper case; ``ValueError`` if it is not a random static one."""
    if not _STATIC.fullmatch(address.upper()):
        problem = f"{address} is not a random static address (C0… to FF…)"
        raise ValueError(problem)
    return address.upper()
