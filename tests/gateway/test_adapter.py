"""An adapter whose scanner does not start again."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from bleak.exc import BleakError

from gateway import adapter as adapter_module
from gateway.adapter import Adapter
from gateway.radio import RadioConfig
from tests.gateway.fakes import FakeRadio


class _Scanner:
    def __init__(self, radio: "_ScanningRadio") -> None:
        self._radio = radio

    async def start(self) -> None:
        if self._radio.is_stuck:
            problem = "in progress"
            raise BleakError(problem)
        if self._radio.is_mute:
            await asyncio.Event().wait()

    async def stop(self) -> None: ...


class _ScanningRadio(FakeRadio):
    """A radio whose scanner does as told."""

    def __init__(self) -> None:
        super().__init__()
        self.is_stuck = False
        self.is_mute = False

    def scanner(self, detection_callback: Any) -> Any:
        return _Scanner(self)

    async def power_cycle(self) -> None: ...

    async def lost(self) -> None:
        await asyncio.Event().wait()


@pytest.fixture
def radio(monkeypatch: pytest.MonkeyPatch) -> _ScanningRadio:
    radio = _ScanningRadio()

    @asynccontextmanager
    async def opened(*_: Any) -> AsyncIterator[_ScanningRadio]:
        yield radio

    monkeypatch.setattr(adapter_module, "open_radio", opened)
    return radio


@pytest.mark.parametrize("step", [Adapter.restart_scanner, Adapter.power_cycle])
async def test_a_scanner_that_does_not_start_again_asks_for_a_radio_opened_anew(
    radio: _ScanningRadio, step: Any
) -> None:
    adapter = Adapter(RadioConfig(), None, lambda *_: None)
    async with adapter.open():
        radio.is_stuck = True
        with pytest.raises(BleakError):
            await step(adapter)
        with pytest.raises(ConnectionError):
            async with asyncio.timeout(1):
                await adapter.raise_when_lost()


@pytest.mark.parametrize("step", [Adapter.restart_scanner, Adapter.power_cycle])
async def test_a_restart_cut_short_leaves_no_adapter_that_hears_nobody(
    radio: _ScanningRadio, step: Any
) -> None:
    adapter = Adapter(RadioConfig(), None, lambda *_: None)
    async with adapter.open():
        radio.is_mute = True
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await step(adapter)
        with pytest.raises(ConnectionError):
            async with asyncio.timeout(1):
                await adapter.raise_when_lost()


@pytest.mark.parametrize("step", [Adapter.restart_scanner, Adapter.power_cycle])
async def test_an_adapter_that_answers_nothing_is_not_waited_for_for_ever(
    radio: _ScanningRadio, step: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter_module, "COMMAND_S_MAX", 0.05)
    adapter = Adapter(RadioConfig(), None, lambda *_: None)
    async with adapter.open():
        radio.is_mute = True
        began_s = time.monotonic()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await step(adapter)
        assert time.monotonic() - began_s < 2
