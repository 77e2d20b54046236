"""An adapter that is switched off and on, and one that does not answer even that."""

import pytest
from bleak.exc import BleakError

from gateway.radio import Radio, RadioConfig, open_radio
from gateway.radio.bumble import adapter
from simulator.devices.cuff import Cuff
from simulator.radio import VirtualRadio
from simulator.radio.fault import Cure, Fault
from tests.radio.central import QUICK, Central, connected, fetch
from tests.radio.ear import Ear


async def test_after_a_power_cycle_scanning_and_connecting_begin_anew(
    room: VirtualRadio, radio: Radio, central: Central
) -> None:
    cuff = Cuff("BP-1", habits=QUICK)
    await room.attach(cuff)
    cuff.measure(120, 80)
    ear = Ear()
    async with radio.scanner(ear):
        client = await connected(radio, ear, cuff.device_id, central)
        await radio.power_cycle()
        await central.until_hung_up()
        assert not client.is_connected
    ear = Ear()
    async with radio.scanner(ear):
        cuff.wake()
        assert len(await fetch(radio, ear, cuff)) == 1


async def test_a_deaf_adapter_hears_again(room: VirtualRadio, radio: Radio) -> None:
    cuff = Cuff("BP-1", habits=QUICK)
    await room.attach(cuff)
    cuff.measure(120, 80)
    room.stick(Fault.DEAF, Cure.RESET)
    deaf = Ear()
    async with radio.scanner(deaf):
        await radio.power_cycle()
    assert deaf.heard == []
    ear = Ear()
    async with radio.scanner(ear):
        await ear.device(cuff.device_id)


async def test_an_adapter_that_answers_nothing_is_an_error_in_time(
    room: VirtualRadio, plug: RadioConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "_RESET_S_MAX", 0.1)
    async with open_radio(plug) as radio:
        room.stick(Fault.MUTE, Cure.NOTHING)
        with pytest.raises(BleakError, match="does not answer"):
            await radio.power_cycle()
