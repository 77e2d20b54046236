"""Write the secrets that docker-compose.yml mounts: ``python deploy/make_secrets.py [DIRECTORY]``.

Standard library only. Existing secrets are kept, so it can be run again after a gateway was
added with ``--gateway ID``: one for the demo's listener. Gateways in homes have certificates
instead (``python -m alerts gateway new-code``), and so has ingest.
"""

import argparse
import base64
import hashlib
import os
import secrets
import sys
from pathlib import Path

# Mosquitto's own format: $7$, PBKDF2 with SHA-512, 101 iterations, salt of 12 bytes.
_ITERATIONS = 101
_SALT_BYTES = 12
_KEY_BYTES = 64
# The database's superuser, and the roles that processes are there (alerts/roles.py).
_ROLES = (
    "database",
    "egenmonitor_ingest",
    "egenmonitor_web",
    "egenmonitor_notifier",
    "egenmonitor_migrator",
)


def main() -> None:
    """Write what is missing and say what was written."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("directory", nargs="?", type=Path, default=Path("deploy/secrets"))
    parser.add_argument("--gateway", action="append", default=["demo-dosa-1"], metavar="ID")
    wanted = parser.parse_args()
    wanted.directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    for role in _ROLES:
        _secret(wanted.directory / f"{role}_password")
    users = {
        gateway_id: _secret(wanted.directory / f"{gateway_id}_mqtt_password")
        for gateway_id in sorted(set(wanted.gateway))
    }
    lines = [f"{user}:{_hash(password)}\n" for user, password in users.items()]
    _write(wanted.directory / "mosquitto_passwords", "".join(lines))
    sys.stdout.write(f"Secrets for {', '.join(users)} are in {wanted.directory}\n")


def _secret(path: Path) -> str:
    if not path.exists():
        _write(path, secrets.token_urlsafe(24))
    return path.read_text()


def _write(path: Path, text: str) -> None:
    # The containers' account reads them: the directory (0700) keeps other people out.
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), "w") as file:
        file.write(text)


def _hash(password: str) -> str:
    salt = secrets.token_bytes(_SALT_BYTES)
    key = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ITERATIONS, _KEY_BYTES)
    return f"$7${_ITERATIONS}${base64.b64encode(salt).decode()}${base64.b64encode(key).decode()}"


if __name__ == "__main__":
    main()
