"""Remote: the configuration that comes down, taken or refused; the last good one is kept.

A configuration is in force when it is on the disk, and not before: after a power cut the
gateway must not go back to what it had said it had left. The server finds in the status which
one is in force, and sends again.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final

from devices.errors import MalformedMessage
from devices.models import model_named
from devices.wire import (
    ConditionCode,
    GatewayConfig,
    PairingRequest,
    PairingStatus,
    PairingStep,
    decode_config,
)
from gateway.control import Pair
from gateway.health import Health
from gateway.kept import Kept, Unreadable, read_kept, write_kept
from gateway.lending import Lending, remote
from gateway.log import get_logger
from gateway.pairing import Failure, PairingBusy

_log = get_logger()

# What a refusal says of the message; the status carries 500 characters (devices.reading.Problem).
_PROBLEM_CHARACTERS_MAX: Final = 400

# Somebody pairs at the box itself; a person is done with that within minutes.
_BUSY_S: Final = 5.0


class _Refused(Exception):
    """What came down is not used; the words say why."""


class Remote:
    """What the server wants of this gateway.

    Args:
        directory: The data directory; the last good one lies there, and is in force at once.
        gateway_id: Ours.
        lending: What the gateway's own file says, in force until something comes down.
        health: Where is told which is in force, a refusal, and how a pairing stands.
        now: The clock; aware UTC.
    """

    def __init__(
        self,
        directory: Path,
        gateway_id: str,
        *,
        lending: Lending,
        health: Health,
        now: Callable[[], datetime],
    ) -> None:
        self._directory = directory
        self._gateway_id = gateway_id
        self._local = lending
        self._health = health
        self._now = now
        self._changed = asyncio.Event()
        self._kept, problem = self._last_good()
        self._lending = self._find_lending()
        self._tell(problem)

    @property
    def config(self) -> GatewayConfig | None:
        """What is in force, if anything came down."""
        return self._kept.config

    @property
    def lending(self) -> Lending:
        """Which devices are to be served, now."""
        return self._lending

    @property
    def heartbeat_s(self) -> float | None:
        """Seconds between heartbeats, if the server says so."""
        return self._kept.config.heartbeat_s if self._kept.config else None

    @property
    def idle_s(self) -> float | None:
        """Seconds without a value that end a session, if the server says so."""
        return self._kept.config.idle_s if self._kept.config else None

    def take(self, payload: bytes) -> None:
        """Take or refuse what came on our configuration topic. Never raises for its content."""
        if not payload:  # the broker's way of saying that a retained message was taken away
            return
        try:
            config = self._check(payload)
            self._keep(config)
        except _Refused as error:
            self._tell(_plain(str(error)))
        else:
            self._tell(None)

    async def run(self, pair: Pair) -> None:
        """Carry out the pairings that are asked for, one after the other, for ever.

        A request that was tried is not tried again, not by another run either: one that was
        cut short has failed.
        """
        if self._kept.tried and self._kept.ended is None:
            self._pairing_ended(_failed(self._kept.tried, Failure.CANCELLED))
        while True:
            changed = self._changed  # before looking: nothing is missed in between
            request = self._wanted()
            if request is None:
                await changed.wait()
            else:
                await self._carry_out(pair, request)

    def _check(self, payload: bytes) -> GatewayConfig:
        try:
            config = decode_config(payload)
        except MalformedMessage as error:  # an unsupported version is one, too
            problem = f"not readable: {error}"
            raise _Refused(problem) from error
        if config.gateway != self._gateway_id:
            problem = f"for another gateway, {config.gateway}"
            raise _Refused(problem)
        before = self._kept.config
        if before is not None and config.config_version < before.config_version:
            problem = f"version {config.config_version} is older than ours, {before.config_version}"
            raise _Refused(problem)
        if before is not None and config.config_version == before.config_version:
            if config != before:
                problem = f"version {config.config_version} came again with other content"
                raise _Refused(problem)
            return config
        _check_devices(config)
        return config

    def _keep(self, config: GatewayConfig) -> None:
        """Put *config* on the disk, then in force. A pairing of before is over with it."""
        if config == self._kept.config:
            return
        goes_on = config.pairing is not None and config.pairing.request_id == self._kept.tried
        tried, ended = (self._kept.tried, self._kept.ended) if goes_on else (None, None)
        self._write(Kept(config=config, tried=tried, ended=ended))
        self._lending = self._find_lending()
        _log.info("config.taken", version=config.config_version, devices=len(config.devices))
        self._stir()

    def _write(self, kept: Kept) -> None:
        try:
            write_kept(self._directory, kept)
        except OSError as error:
            problem = f"cannot be kept on the disk ({error.strerror})"
            raise _Refused(problem) from error
        self._kept = kept

    def _last_good(self) -> tuple[Kept, str | None]:
        """Return what was kept, and what is wrong with it: then the server sends it again."""
        try:
            return read_kept(self._directory, self._gateway_id), None
        except Unreadable as error:
            return Kept(), str(error)

    def _find_lending(self) -> Lending:
        return self._local if self._kept.config is None else remote(self._kept.config)

    def _tell(self, refused: str | None) -> None:
        version = self._kept.config.config_version if self._kept.config else None
        self._health.config(version, refused)
        if refused is None:
            self._health.solved(ConditionCode.CONFIG_REFUSED)
        else:
            words = f"a configuration is not used: {refused}"
            self._health.problem(ConditionCode.CONFIG_REFUSED, words)

    def _stir(self) -> None:
        """Wake who waits for a change; each looks again, and waits for the next one."""
        before, self._changed = self._changed, asyncio.Event()
        before.set()

    # Pairings.

    def _wanted(self) -> PairingRequest | None:
        request = self._asked()
        if request is None:
            self._health.pairing = None
        elif request.request_id == self._kept.tried:
            if self._kept.ended is not None:
                self._health.pairing = self._kept.ended
        else:
            return request
        return None

    def _asked(self) -> PairingRequest | None:
        return self._kept.config.pairing if self._kept.config else None

    async def _carry_out(self, pair: Pair, request: PairingRequest) -> None:
        """Pair once, until it is over or the server does not want it any more."""
        request_id = request.request_id
        with suppress(_Refused):  # on a full disk it is tried again after a restart, no more
            self._write(Kept(config=self._kept.config, tried=request_id))
        self._kept = Kept(config=self._kept.config, tried=request_id)
        _log.info("pairing.asked", request_id=request_id, model=request.model)
        async with asyncio.TaskGroup() as tasks:
            pairing = tasks.create_task(self._pair(pair, request), name="pairing")
            withdrawn = tasks.create_task(self._until_withdrawn(request_id), name="withdrawn")
            await asyncio.wait({pairing, withdrawn}, return_when=asyncio.FIRST_COMPLETED)
            withdrawn.cancel()
            pairing.cancel()

    async def _pair(self, pair: Pair, request: PairingRequest) -> None:
        request_id = request.request_id
        ended = _failed(request_id, Failure.CANCELLED)
        try:
            while True:
                try:
                    ended = await pair(request, lambda: self._passkey(request_id), self._progress)
                except PairingBusy:
                    await asyncio.sleep(_BUSY_S)
                else:
                    break
        finally:
            self._pairing_ended(ended)

    async def _passkey(self, request_id: str) -> int:
        """Wait for the number that a newer configuration carries."""
        while True:
            changed = self._changed
            asked = self._asked()
            if asked and asked.request_id == request_id and asked.passkey is not None:
                return asked.passkey
            await changed.wait()

    async def _until_withdrawn(self, request_id: str) -> None:
        while True:
            changed = self._changed
            asked = self._asked()
            if asked is None or asked.request_id != request_id:
                return
            await changed.wait()

    def _progress(self, status: PairingStatus) -> None:
        self._health.pairing = status

    def _pairing_ended(self, status: PairingStatus) -> None:
        self._health.pairing = status
        _log.info("pairing.over", step=status.step.value, problem=status.problem)
        if self._kept.tried != status.request_id:
            return  # the server has asked for another meanwhile
        kept = Kept(config=self._kept.config, tried=status.request_id, ended=status)
        with suppress(_Refused):
            self._write(kept)
        self._kept = kept


def _failed(request_id: str, why: Failure) -> PairingStatus:
    return PairingStatus(request_id=request_id, step=PairingStep.FAILED, problem=why.value)


def _plain(words: str) -> str:
    """Return *words*, which may quote the message, as one line that a status can carry."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in words)
    return shown[:_PROBLEM_CHARACTERS_MAX]


def _check_devices(config: GatewayConfig) -> None:
    """Raise ``_Refused`` for a list that contradicts itself or that this version cannot serve."""
    seen = set[str]()
    for lent in config.devices:
        address = lent.device_id.upper()
        if address in seen:
            problem = f"device {address} stands on the list twice"
            raise _Refused(problem)
        seen.add(address)
    named = {lent.model for lent in config.devices}
    if config.pairing is not None:
        named.add(config.pairing.model)
    unknown = sorted(name for name in named if name and model_named(name) is None)
    if unknown:
        problem = f"this version knows no model {', '.join(unknown)}"
        raise _Refused(problem)
