"""Outputs: lamps and a buzzer on GPIO lines, or a program that is told the signal's word.

An output that does not work is no reason to stop anything: it raises ``OutputFailed``, which is
told in the status, and it is tried again after a while, with the next signal at the latest.
"""

import asyncio
import importlib
import os
import signal as signals
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final, Protocol

from gateway.config import FeedbackConfig
from gateway.feedback.light import Lamp, Signal, lamps

# What a command is given of our environment: nothing of ours, which may name secrets' files.
_ENVIRONMENT: Final = ("PATH", "LANG", "XDG_RUNTIME_DIR", "PULSE_SERVER")

_FOR_EVER: Final = float("inf")

# A stop does not wait longer for the program that puts the light out.
_CLOSE_S_MAX: Final = 1.0


class OutputFailed(Exception):
    """The light or buzzer does not work; the words say why."""


class Output(Protocol):
    """Shows one signal at a time."""

    async def show(self, signal: Signal, elapsed_s: float) -> float:
        """Show what *signal* looks like so many seconds after it began.

        Returns:
            In how many seconds it looks different; infinite if it stays so.

        Raises:
            OutputFailed: It does not work.
        """

    async def close(self) -> None:
        """Go dark and let go."""


class Nothing:
    """No output."""

    async def show(self, signal: Signal, elapsed_s: float) -> float:  # noqa: ARG002
        """See ``Output.show``."""
        return _FOR_EVER

    async def close(self) -> None:
        """See ``Output.close``."""


class Command:
    """Runs a program for each signal: its arguments, then the word. No shell is involved.

    Args:
        arguments: The program and its arguments.
        seconds_max: What takes longer is killed.
    """

    def __init__(self, arguments: Sequence[str], seconds_max: float) -> None:
        self._arguments = tuple(arguments)
        self._seconds_max = seconds_max

    async def show(self, signal: Signal, elapsed_s: float) -> float:  # noqa: ARG002
        """See ``Output.show``; returns when the program has ended."""
        program = self._arguments[0]
        try:
            process = await asyncio.create_subprocess_exec(
                *self._arguments,
                signal.value,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
                start_new_session=True,  # Ctrl-C at our terminal is ours alone
            )
        except OSError as error:
            problem = f"feedback.command: {program} cannot be started ({error.strerror})"
            raise OutputFailed(problem) from error
        try:
            async with asyncio.timeout(self._seconds_max):
                code = await process.wait()
        except TimeoutError:
            problem = f"feedback.command: {program} took longer than {self._seconds_max:g} s"
            raise OutputFailed(problem) from None
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signals.SIGKILL)  # with what it started
                await process.wait()
        if code:
            problem = f"feedback.command: {program} ended with {code}"
            raise OutputFailed(problem)
        return _FOR_EVER

    async def close(self) -> None:
        """See ``Output.close``."""
        with suppress(OutputFailed, TimeoutError):  # told before, if it is anything to tell
            async with asyncio.timeout(_CLOSE_S_MAX):
                await self.show(Signal.DARK, 0.0)


class Gpio:
    """Lamps and a buzzer on lines of a GPIO chip, through libgpiod 2.

    Lines that could not be set are let go, and asked for anew at the next try: a chip that was
    unplugged, or whose driver was loaded again, does not come back to an old request.

    Args:
        chip: The chip's device file.
        lines: The line of each lamp that there is.
        gpiod: The module ``gpiod``, or what behaves like it.
    """

    def __init__(self, chip: str, lines: dict[Lamp, int], gpiod: Any) -> None:
        self._chip = chip
        self._lines = lines
        self._gpiod = gpiod
        self._request = self._requested()

    async def show(self, signal: Signal, elapsed_s: float) -> float:
        """See ``Output.show``."""
        on, for_s = lamps(signal, elapsed_s)
        self._switch(on)
        return for_s

    async def close(self) -> None:
        """See ``Output.close``."""
        if self._request is not None:
            with suppress(OutputFailed):
                self._switch(frozenset())
        self._let_go()

    def _requested(self) -> Any:
        gpiod = self._gpiod
        off = gpiod.line.Value.INACTIVE
        output = gpiod.line.Direction.OUTPUT
        settings = gpiod.LineSettings(direction=output, output_value=off)
        try:
            return gpiod.request_lines(
                self._chip,
                consumer="egenmonitor",
                config={tuple(self._lines.values()): settings},
            )
        except (OSError, ValueError) as error:
            problem = f"feedback.chip: the lines of {self._chip} cannot be had ({error})"
            raise OutputFailed(problem) from error

    def _let_go(self) -> None:
        if self._request is not None:
            with suppress(OSError):  # nothing more can be done for it
                self._request.release()
            self._request = None

    def _switch(self, on: frozenset[Lamp]) -> None:
        if self._request is None:
            self._request = self._requested()
        value = self._gpiod.line.Value
        wanted = {
            line: value.ACTIVE if lamp in on else value.INACTIVE
            for lamp, line in self._lines.items()
        }
        try:
            self._request.set_values(wanted)
        except OSError as error:
            self._let_go()
            problem = f"feedback.chip: the lines cannot be set ({error})"
            raise OutputFailed(problem) from error


def open_output(config: FeedbackConfig) -> Output:
    """Return the output that *config* names.

    Raises:
        OutputFailed: It is not to be had here.
    """
    if config.output == "command":
        if not config.command:
            problem = "feedback.command: is missing. Give the program and its arguments"
            raise OutputFailed(problem)
        return Command(config.command, config.command_s_max)
    if config.output == "gpio":
        return _open_gpio(config)
    return Nothing()


def _open_gpio(config: FeedbackConfig) -> Gpio:
    lines = {
        lamp: line
        for lamp, line in (
            (Lamp.GREEN, config.green_line),
            (Lamp.YELLOW, config.yellow_line),
            (Lamp.RED, config.red_line),
            (Lamp.BUZZER, config.buzzer_line),
        )
        if line is not None
    }
    if not lines:
        problem = "feedback: no line is named. Give green_line, or another"
        raise OutputFailed(problem)
    try:
        gpiod = importlib.import_module("gpiod")
        importlib.import_module("gpiod.line")
    except ImportError as error:
        problem = "feedback.output: Python's gpiod is not installed. Install it, or use 'command'"
        raise OutputFailed(problem) from error
    return Gpio(config.chip, lines, gpiod)
