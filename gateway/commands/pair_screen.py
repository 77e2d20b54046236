"""What whoever pairs sees: words at a terminal with a bar below, or JSON lines for a program."""

import asyncio
import os
import sys
from types import TracebackType
from typing import Final, Protocol, Self

import msgspec

from devices.models import Model
from devices.wire import PairingStatus, PairingStep
from gateway.pairing_words import STEPS, Language, failure_words, how_to_pair, said
from gateway.radio import PasskeyNotGiven

_DIGITS: Final = 6
_KEYBOARD: Final = 0  # standard input
_CHUNK_BYTES: Final = 1024
_LINE_BYTES_MAX: Final = 4096

_ORDER: Final = (
    PairingStep.SEARCHING,
    PairingStep.PAIRING,
    PairingStep.PASSKEY,
    PairingStep.MEASURE,
    PairingStep.DONE,
)


class Screen(Protocol):
    """Where a pairing is shown, for as long as the block lasts."""

    def __enter__(self) -> Self:
        """Begin to show."""

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave the terminal as it was."""

    def tell(self, status: PairingStatus) -> None:
        """Show where it stands."""

    async def passkey(self) -> int:
        """Ask for the number the device shows.

        Raises:
            PasskeyNotGiven: Nobody is there to type it.
        """


class Keyboard:
    """Lines typed at standard input, waited for without a thread that nothing could stop."""

    def __init__(self) -> None:
        self._typed = b""
        self._is_closed = False

    async def line(self) -> str:
        """Return the next line.

        Raises:
            PasskeyNotGiven: There is none any more.
        """
        while b"\n" not in self._typed:
            if self._is_closed or len(self._typed) > _LINE_BYTES_MAX:
                raise PasskeyNotGiven
            await self._more()
        line, _, self._typed = self._typed.partition(b"\n")
        return line.decode(errors="replace").strip()

    async def _more(self) -> None:
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        try:
            loop.add_reader(_KEYBOARD, ready.set)
        except PermissionError:  # a file: it never lets anybody wait
            self._take()
            return
        try:
            await ready.wait()
        finally:
            loop.remove_reader(_KEYBOARD)
        self._take()

    def _take(self) -> None:
        chunk = os.read(_KEYBOARD, _CHUNK_BYTES)
        self._is_closed = not chunk
        self._typed += chunk


class PlainScreen:
    """Words, one line a step, and at a terminal a bar that moves while one waits."""

    def __init__(self, model: Model | None, language: Language) -> None:
        # A running box needs none of it.
        from rich.console import Console  # noqa: PLC0415
        from rich.progress import BarColumn, Progress, SpinnerColumn, TimeElapsedColumn  # noqa: PLC0415

        self._model = model
        self._language = language
        self._console = Console(highlight=False)
        self._progress = Progress(
            SpinnerColumn(),
            BarColumn(),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._bar = self._progress.add_task("", total=len(_ORDER) - 1)
        self._keyboard = Keyboard()
        self._said = {PairingStep.PASSKEY}  # that is said by asking

    def __enter__(self) -> Self:
        if self._model is not None:
            self._console.print(self._model.title, style="bold")
            if how := how_to_pair(self._model, self._language):
                self._console.print(said("ready", self._language) + how)
        self._progress.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def tell(self, status: PairingStatus) -> None:
        """Say it in words."""
        if status.step is PairingStep.FAILED:
            self._console.print(failure_words(status.problem, self._model, self._language))
            return
        self._progress.update(self._bar, completed=_ORDER.index(status.step))
        if status.step not in self._said:  # it may be tried more than once
            self._said.add(status.step)
            self._console.print(STEPS[status.step][self._language])

    async def passkey(self) -> int:
        """Ask until six digits are typed."""
        self._progress.stop()
        try:
            words = STEPS[PairingStep.PASSKEY][self._language]
            while True:
                self._console.print(f"{words}: ", end="")
                typed = (await self._keyboard.line()).replace(" ", "")
                if typed.isdecimal() and len(typed) == _DIGITS:
                    return int(typed)
                words = said("six_digits", self._language)
        finally:
            self._progress.start()


class JsonScreen:
    """Each step as one JSON object a line; the number is read as a line."""

    def __init__(self) -> None:
        self._keyboard = Keyboard()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """There is nothing to tidy up."""

    def tell(self, status: PairingStatus) -> None:
        """Write it as it travels to the server."""
        sys.stdout.write(msgspec.json.encode(status).decode() + "\n")
        sys.stdout.flush()

    async def passkey(self) -> int:
        """Read lines until one is six digits."""
        while True:
            typed = await self._keyboard.line()
            if typed.isdecimal() and len(typed) == _DIGITS:
                return int(typed)
