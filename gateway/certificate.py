"""Certificate: who this box is to the server, as it lies in the data directory.

``identity`` is a link to a directory with key.pem, cert.pem, ca.pem, identity.json and
enrolled.toml (the configuration's keys that enrolment gives). A new identity is written whole
beside it, and the link is put over in one step: a power cut leaves the old one or the new one,
never a certificate without its key. Standard library and the wire codec only: a box that
runs for years looks here, and makes keys elsewhere (enrol.py).
"""

import contextlib
import json
import os
import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from devices.reading import Utc
from devices.wire.limits import GatewayId

LINK: Final = "identity"
DEFAULTS: Final = f"{LINK}/enrolled.toml"
_NEXT: Final = "identity-next"  # a link too: to the directory whose key waits for a certificate
_NAME_BYTES: Final = 8
_VERSION: Final = 1
# A page of JSON; more is the wrong file.
_BYTES_MAX: Final = 16 * 1024


class IdentityDamaged(Exception):
    """There is an identity, and it cannot be used; the message says why."""


class _About(msgspec.Struct, frozen=True, kw_only=True):
    v: Annotated[int, Meta(ge=_VERSION, le=_VERSION)]
    gateway_id: GatewayId
    server: str
    serial: str
    valid_from: Utc
    valid_until: Utc


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A box with an identity.

    Attributes:
        gateway_id: Its id, and its certificate's common name.
        server: Where it was enrolled, and where it renews: an http or https address.
        serial: Of the certificate, in lower-case hexadecimal.
        valid_from: Since when the certificate is good.
        valid_until: Until when.
        directory: Where its files lie; another one after each renewal.
    """

    gateway_id: str
    server: str
    serial: str
    valid_from: datetime
    valid_until: datetime
    directory: Path

    @property
    def ca_file(self) -> Path:
        """The certificate authority's certificate."""
        return self.directory / "ca.pem"

    @property
    def cert_file(self) -> Path:
        """The box's certificate."""
        return self.directory / "cert.pem"

    @property
    def key_file(self) -> Path:
        """The box's private key."""
        return self.directory / "key.pem"

    def at_fraction(self, fraction: float) -> datetime:
        """Return when so much of the certificate's life is over."""
        life_s = (self.valid_until - self.valid_from).total_seconds()
        return self.valid_from + timedelta(seconds=fraction * life_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """What a server gave this box."""

    gateway_id: str
    server: str
    serial: str
    valid_from: datetime
    valid_until: datetime
    certificate: str  # PEM
    authority: str  # PEM
    defaults: str  # as ``defaults`` gives them


def enrolled(data_dir: Path) -> Enrolled | None:
    """Return the identity in *data_dir*; nothing if the box was not enrolled.

    Raises:
        IdentityDamaged: It is there and cannot be used.
    """
    directory = current(data_dir)
    if directory is None:
        return None
    try:
        with (directory / "identity.json").open("rb") as file:
            about = msgspec.json.decode(file.read(_BYTES_MAX), type=_About)
    except OSError as error:
        problem = f"{directory}/identity.json cannot be read ({error.strerror})"
        raise IdentityDamaged(problem) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        problem = f"{directory}/identity.json is damaged ({error})"
        raise IdentityDamaged(problem) from error
    return Enrolled(
        about.gateway_id,
        about.server,
        about.serial,
        about.valid_from,
        about.valid_until,
        directory,
    )


def current(data_dir: Path) -> Path | None:
    """Return the directory that the link leads to now; one look at the disk.

    Raises:
        IdentityDamaged: It is no link.
    """
    return _target(data_dir, LINK)


def pending_key(data_dir: Path, make: Callable[[], bytes]) -> bytes:
    """Return the key that the next certificate is asked for with; *make* it the first time.

    It is on the disk before anybody hears of it, so that a request whose answer was lost can be
    repeated with the same key.

    Raises:
        OSError: It cannot be kept.
    """
    directory = _pending(data_dir)
    if directory is not None:
        with contextlib.suppress(FileNotFoundError), (directory / "key.pem").open("rb") as file:
            return file.read(_BYTES_MAX)
    key = make()
    name = f"{LINK}-{secrets.token_hex(_NAME_BYTES)}"
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    (data_dir / name).mkdir(mode=0o700)
    _write(data_dir / name / "key.pem", key)
    _sync(data_dir / name)
    _point(data_dir, _NEXT, name)
    return key


def drop_pending_key(data_dir: Path) -> None:
    """Forget the key that waits for a certificate; the next time another is made.

    Raises:
        OSError: It is still there.
    """
    directory = _pending(data_dir)
    (data_dir / _NEXT).unlink(missing_ok=True)
    if directory is not None and directory.is_dir():
        shutil.rmtree(directory)
    _sync(data_dir)


def keep(data_dir: Path, issued: Issued) -> Enrolled:
    """Make the pending key and *issued* the box's identity, whole or not at all.

    Raises:
        OSError: They cannot be kept; what was is still there.
    """
    fresh, before = _pending(data_dir), current(data_dir)
    assert fresh is not None, "a certificate is for a key that was asked with"
    about = _About(
        v=_VERSION,
        gateway_id=issued.gateway_id,
        server=issued.server,
        serial=issued.serial,
        valid_from=issued.valid_from,
        valid_until=issued.valid_until,
    )
    _write(fresh / "cert.pem", issued.certificate.encode())
    _write(fresh / "ca.pem", issued.authority.encode())
    _write(fresh / "identity.json", msgspec.json.encode(about))
    _write(fresh / "enrolled.toml", issued.defaults.encode())
    _sync(fresh)
    _point(data_dir, LINK, fresh.name)
    (data_dir / _NEXT).unlink()
    # Who opened the files a moment ago still finds them: the last but one goes, the last stays.
    for old in _directories(data_dir):
        if old not in {fresh, before}:
            shutil.rmtree(old)
    _sync(data_dir)
    found = enrolled(data_dir)
    assert found is not None
    return found


def defaults(data_dir: Path, gateway_id: str, broker_host: str, broker_port: int) -> str:
    """Return the keys of the configuration that enrolment gives, in TOML.

    The files are named through the link, so they are the right ones after a renewal too.
    """
    link = data_dir.absolute() / LINK
    uplink: dict[str, str | int] = {
        "host": broker_host,
        "port": broker_port,
        "ca_file": str(link / "ca.pem"),
        "cert_file": str(link / "cert.pem"),
        "key_file": str(link / "key.pem"),
    }
    lines = [f"gateway_id = {json.dumps(gateway_id)}", "", "[uplink]"]
    # A JSON string is a TOML string too.
    lines += [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in uplink.items()]
    return "\n".join(lines) + "\n"


def wipe(data_dir: Path) -> None:
    """Forget who this box is: key and certificate too.

    Raises:
        OSError: Something of it is still there.
    """
    for link in (LINK, _NEXT, f"{LINK}.new", f"{_NEXT}.new"):
        (data_dir / link).unlink(missing_ok=True)
    for directory in _directories(data_dir):
        shutil.rmtree(directory)
    if data_dir.is_dir():
        _sync(data_dir)


def _pending(data_dir: Path) -> Path | None:
    """Return the directory whose key waits for a certificate."""
    directory = _target(data_dir, _NEXT)
    # The same as the one in use: a power cut came between putting the link over and this one away.
    return None if directory == current(data_dir) else directory


def _target(data_dir: Path, link: str) -> Path | None:
    try:
        return data_dir / (data_dir / link).readlink()
    except FileNotFoundError:
        return None
    except OSError as error:
        problem = f"{data_dir / link} is not the link it should be ({error.strerror})"
        raise IdentityDamaged(problem) from error


def _point(data_dir: Path, link: str, name: str) -> None:
    """Put a link over to the directory *name*, in one step."""
    fresh = data_dir / f"{link}.new"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(name)
    fresh.replace(data_dir / link)
    _sync(data_dir)


def _directories(data_dir: Path) -> list[Path]:
    found = data_dir.glob(f"{LINK}-*")
    return [path for path in found if path.is_dir() and not path.is_symlink()]


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, descriptor)
        os.fsync(descriptor)
