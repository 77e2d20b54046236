"""Password hashes: argon2id with RFC 9106's second recommended option (64 MiB, 3 passes).

One verification takes some 50 ms and 64 MiB; who calls bounds how many run at once.
"""

import secrets

import argon2

_hasher = argon2.PasswordHasher()

# Verified for unknown names, so that they take as long as known ones.
NOBODYS_HASH = _hasher.hash(secrets.token_urlsafe(32))


def hash_password(password: str) -> str:
    """Return the text to keep instead of *password*."""
    return _hasher.hash(password)


def is_password(password: str, password_hash: str) -> bool:
    """Return whether *password_hash* was made from *password*."""
    try:
        return _hasher.verify(password_hash, password)
    except argon2.exceptions.VerifyMismatchError:
        return False
