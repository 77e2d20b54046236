"""Adapter: the one radio as it is open now, its scanner, and who may use it: one thing at a time.

Each of the radio's commands has a bound: an adapter that is stuck answers nothing, for ever.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bleak import BleakScanner
from bleak.backends.scanner import AdvertisementDataCallback
from bleak.exc import BleakError

from gateway.connection import RADIO_ERRORS
from gateway.log import get_logger
from gateway.radio import Radio, RadioConfig, open_radio

_log = get_logger()

# BlueZ answers within milliseconds, and itself gives an adapter up after 10 s.
COMMAND_S_MAX: Final = 12.0


@dataclass(slots=True)
class _Opened:
    radio: Radio
    scanner: BleakScanner
    broken: "asyncio.Future[None]"  # resolved when only a radio opened anew will work


class Adapter:
    """Opens the radio, and restarts its parts.

    Args:
        config: Which adapter.
        keys: The directory of our own stack's bonds, if they are to last.
        on_heard: Called with each advertisement.

    Attributes:
        slot: Held by whoever uses the adapter for more than listening.
    """

    def __init__(
        self, config: RadioConfig, keys: Path | None, on_heard: AdvertisementDataCallback
    ) -> None:
        self._config = config
        self._keys = keys
        self._on_heard = on_heard
        self._opened: _Opened | None = None
        self.slot = asyncio.Lock()

    @property
    def backend(self) -> str:
        """Which stack drives it."""
        return self._config.backend

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Radio]:
        """Open the radio and scan, for as long as the block lasts.

        Raises:
            BleakError, OSError, EOFError: It does not work.
        """
        async with open_radio(self._config, self._keys) as radio:
            async with self.slot:
                scanner = await self._scan(radio)
            broken = asyncio.get_running_loop().create_future()
            self._opened = opened = _Opened(radio, scanner, broken)
            try:
                yield radio
            finally:
                self._opened = None
                await _stop(opened.scanner)

    async def raise_when_lost(self) -> None:
        """Wait until only a radio opened anew will work, then raise ``ConnectionError``."""
        opened = self._opened
        assert opened is not None  # inside `open`
        gone = asyncio.create_task(opened.radio.lost(), name="radio-gone")
        try:
            await asyncio.wait({gone, opened.broken}, return_when=asyncio.FIRST_COMPLETED)
            if gone.done():
                gone.result()
        finally:
            gone.cancel()
        problem = "the adapter is gone" if gone.done() else "the scanner did not start again"
        raise ConnectionError(problem)

    async def restart_scanner(self) -> None:
        """Stop the scanner and start a new one, when nobody uses the adapter.

        Raises:
            BleakError, OSError, EOFError: It did not start. The radio is opened anew then.
        """
        async with self.slot:
            opened = self._opened
            if opened is None:
                problem = "the radio is not open"
                raise BleakError(problem)
            try:
                await _stop(opened.scanner)
                opened.scanner = await self._scan(opened.radio)
            except BaseException:  # cancelled too: there is no scanner now
                _break(opened)
                raise

    async def power_cycle(self) -> None:
        """Switch the adapter off and on and scan again, also one whose scanner does not start.

        Raises:
            BleakError, OSError, EOFError: It cannot be done, or the scanner did not start.
        """
        async with self.slot:
            opened = self._opened
            if opened is None:
                async with open_radio(self._config, self._keys) as radio:
                    await _bounded(radio.power_cycle())
                return
            try:
                await _stop(opened.scanner)
                await _bounded(opened.radio.power_cycle())
                opened.scanner = await self._scan(opened.radio)
            except BaseException:
                _break(opened)
                raise

    async def _scan(self, radio: Radio) -> BleakScanner:
        scanner = radio.scanner(self._on_heard)
        await _bounded(scanner.start())
        return scanner


def _break(opened: _Opened) -> None:
    if not opened.broken.done():
        opened.broken.set_result(None)


async def _stop(scanner: BleakScanner) -> None:
    try:
        await _bounded(scanner.stop())
    except RADIO_ERRORS as error:  # it is gone, or scans no more: so much the better
        _log.info("radio.scanner_not_stopped", error=repr(error))


async def _bounded(command: Awaitable[None]) -> None:
    async with asyncio.timeout(COMMAND_S_MAX):
        await command
