"""Renewal: the next certificate in good time, without a gap.

From two thirds of the certificate's life on, a process of its own makes a key and asks for the
next one: what makes keys holds 18 MB, which a box must not carry for the sixty days between. The
old certificate stays good to its end; the new one is used from the next connection on, which
the uplink is asked to make soon and politely.

As a program, ``python -m gateway.renewal DATA_DIR``, it renews once: exit code 0, or 1 and the
reason on standard error.
"""

import asyncio
import contextlib
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from devices.wire import ConditionCode
from gateway import certificate
from gateway.certificate import Enrolled, IdentityDamaged
from gateway.health import Health
from gateway.log import get_logger

_log = get_logger()

# Of the certificate's life. With 90 days, 30 are left for a server that is away, or a box that
# stands in a cupboard during a summer.
RENEW_FROM: Final = 2 / 3
# Boxes that were enrolled on one day renew within some days of each other, not in one minute.
SPREAD: Final = 1 / 30
# A person is told when it has failed for a week: there are three left.
TELL_FROM: Final = 3 / 4

# How often the identity is looked at: one look at a link, nothing read or written. A box that is
# enrolled anew while it runs is itself within so many seconds.
LOOK_S: Final = 30.0
# Between two tries: a server that is away for a night is asked some times.
RETRY_S: Final = 3600.0
# A process that has not renewed by then hangs.
PROCESS_S_MAX: Final = 60.0
_WORDS_MAX: Final = 200

_PART: Final = "renewal"


class Renewal:
    """Renews this box's certificate, and tells when it is about to end. A part of ``run``.

    Args:
        data_dir: Where the identity lies.
        health: Where CERTIFICATE_EXPIRES and CERTIFICATE_EXPIRED are told.
        now: The clock.
        is_clock_sure: Whether the clock can be believed; nothing is decided while it cannot.
        on_renewed: Called when another identity lies there than before.
        look_s: Between two looks, in seconds.
        retry_s: Between two tries, in seconds.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        health: Health,
        now: Callable[[], datetime],
        is_clock_sure: Callable[[], bool],
        on_renewed: Callable[[], None],
        look_s: float = LOOK_S,
        retry_s: float = RETRY_S,
    ) -> None:
        self._data_dir = data_dir
        self._health = health
        self._now = now
        self._is_clock_sure = is_clock_sure
        self._on_renewed = on_renewed
        self._look_s = look_s
        self._retry_s = retry_s
        self._identity: Enrolled | None = None
        self._try_at_s = float("-inf")  # monotonic
        self._problem = ""  # of the last try

    @property
    def certificate_until(self) -> datetime | None:
        """When the certificate ends, as it was at the last look."""
        return None if self._identity is None else self._identity.valid_until

    async def run(self) -> None:
        """Watch the certificate for ever."""
        while True:
            self._health.pulse.beat(_PART, self._look_s + 2 * PROCESS_S_MAX)
            try:
                self._read()
            except IdentityDamaged as error:
                words = f"{error}. Enrol this box again: gateway enrol CODE --server URL"
                self._health.problem(ConditionCode.CERTIFICATE_EXPIRED, words, part="identity")
            else:
                self._health.solved(ConditionCode.CERTIFICATE_EXPIRED, part="identity")
                await self._consider()
            await asyncio.sleep(self._look_s)

    def _read(self) -> None:
        """Take another identity than before, if there is one."""
        before = self._identity
        if certificate.current(self._data_dir) == (before.directory if before else None):
            return
        self._identity = certificate.enrolled(self._data_dir)
        self._problem = ""
        if before is not None:
            _log.info("certificate.changed", until=str(self.certificate_until))
            self._on_renewed()

    async def _consider(self) -> None:
        identity = self._identity
        if identity is None or not self._is_clock_sure():
            return
        if self._now() >= identity.valid_until:
            self._health.solved(ConditionCode.CERTIFICATE_EXPIRES)
            words = f"the certificate ended at {identity.valid_until}: enrol this box again"
            self._health.problem(ConditionCode.CERTIFICATE_EXPIRED, words)
            return
        self._health.solved(ConditionCode.CERTIFICATE_EXPIRED)
        if self._now() >= renew_at(identity) and time.monotonic() >= self._try_at_s:
            self._problem = await _renew(self._data_dir)
            self._try_at_s = time.monotonic() + self._retry_s
            if not self._problem:
                self._read()
        self._tell(identity)

    def _tell(self, identity: Enrolled) -> None:
        if self._problem and self._now() >= identity.at_fraction(TELL_FROM):
            words = f"not renewed, and it ends at {identity.valid_until}: {self._problem}"
            self._health.problem(ConditionCode.CERTIFICATE_EXPIRES, words)
        else:
            self._health.solved(ConditionCode.CERTIFICATE_EXPIRES)


def renew_at(identity: Enrolled) -> datetime:
    """Return when a certificate is to be renewed: the same answer for one, spread over many."""
    share = int(identity.serial[-4:], 16) / 0xFFFF
    return identity.at_fraction(RENEW_FROM + SPREAD * share)


async def _renew(data_dir: Path) -> str:
    """Renew in a process of its own; return what is wrong, nothing if it worked."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "gateway.renewal",
        str(data_dir),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(PROCESS_S_MAX):
            _, said = await process.communicate()
    except TimeoutError:
        return f"no answer within {PROCESS_S_MAX:.0f} s"
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode == 0:
        return ""
    problem = said.decode(errors="replace").strip()[-_WORDS_MAX:] or f"exit {process.returncode}"
    _log.warning("certificate.not_renewed", problem=problem)
    return problem


def main(arguments: list[str]) -> int:
    """Renew once; see the module."""
    from gateway import enrol  # noqa: PLC0415 - 18 MB that the importing box must not hold

    try:
        found = enrol.renew(Path(arguments[0]))
    except (enrol.EnrolFailed, IdentityDamaged) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"{error.filename}: {error.strerror}\n")
        return 1
    left = found.valid_until - datetime.now(UTC)
    sys.stdout.write(f"good for {left.days} days\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
