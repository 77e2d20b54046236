"""BlueZ: the agent, bonds, power and the adapter's end, where the real one cannot be led there."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from bleak.backends.device import BLEDevice
from bleak.exc import (
    BleakBluetoothNotAvailableError,
    BleakBluetoothNotAvailableReason,
    BleakDBusError,
    BleakError,
)
from dbus_fast import BusType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus

from gateway.radio import AskPasskey, PasskeyNotGiven, Radio, RadioConfig, open_radio
from gateway.radio.bluez import bus as bus_module
from gateway.radio.bluez import radio as radio_module
from gateway.radio.refusal import Refusal, RefusedError
from tests.gateway.bluetoothd import bus
from tests.radio.ear import WAIT_S
from tests.radio.standin import ADAPTER, ADAPTER_INTERFACE, AGENT, StandIn, standin

DEVICE = "C4:64:E3:00:00:01"
STRANGER = "C4:64:E3:00:00:02"
YES, NO = Variant("b", True), Variant("b", False)


@pytest.fixture
async def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    async with bus(tmp_path) as address:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
        yield address


@pytest.fixture
async def bluez(address: str) -> AsyncIterator[StandIn]:
    async with standin(address) as bluez:
        yield bluez


@pytest.fixture
async def radio(bluez: StandIn) -> AsyncIterator[Radio]:
    async with open_radio(RadioConfig()) as radio:
        bluez.calls.clear()
        yield radio


async def _is_lost(radio: Radio) -> None:
    async with asyncio.timeout(WAIT_S):
        await radio.lost()


async def test_without_a_bus_there_is_no_radio(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path / 'none'}")
    with pytest.raises(BleakBluetoothNotAvailableError, match="message bus"):
        async with open_radio(RadioConfig()):
            pass


@pytest.mark.usefixtures("address")
async def test_without_bluetoothd_there_is_no_radio() -> None:
    with pytest.raises(BleakBluetoothNotAvailableError, match="bluetoothd"):
        async with open_radio(RadioConfig()):
            pass


@pytest.mark.usefixtures("bluez")
async def test_an_adapter_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(BleakBluetoothNotAvailableError, match=r"hci7.*hci0"):
        async with open_radio(RadioConfig(adapter="hci7")):
            pass


async def test_an_adapter_that_is_off_is_switched_on(bluez: StandIn) -> None:
    bluez.adapter["Powered"] = NO
    bluez.errors["Set"] = ["org.bluez.Error.Busy"]  # it is being switched already
    async with open_radio(RadioConfig()):
        assert bluez.adapter["Powered"].value is True


async def test_an_adapter_that_is_blocked_is_told_as_off(bluez: StandIn) -> None:
    bluez.adapter["Powered"] = NO
    bluez.errors["Set"] = ["org.bluez.Error.Failed"]  # as with rfkill
    with pytest.raises(BleakBluetoothNotAvailableError) as off:
        async with open_radio(RadioConfig()):
            pass
    assert off.value.reason is BleakBluetoothNotAvailableReason.POWERED_OFF


async def test_the_radio_is_lost_with_bluetoothd(address: str) -> None:
    async with AsyncExitStack() as running:
        await running.enter_async_context(standin(address))
        async with open_radio(RadioConfig()) as radio:
            await running.aclose()
            await _is_lost(radio)


async def test_the_radio_is_lost_with_the_bus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with AsyncExitStack() as running:
        address = await running.enter_async_context(bus(tmp_path))
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
        async with standin(address), open_radio(RadioConfig()) as radio:
            await running.aclose()
            await _is_lost(radio)


async def test_the_radio_is_lost_with_its_adapter(bluez: StandIn, radio: Radio) -> None:
    bluez.loses_its_adapter()
    await _is_lost(radio)


async def test_the_radio_is_lost_with_its_power(bluez: StandIn, radio: Radio) -> None:
    bluez.powers(on=False)
    await _is_lost(radio)


async def test_nothing_else_loses_it(bluez: StandIn, radio: Radio) -> None:
    bluez.loses(f"{ADAPTER}/dev_C4_64_E3_00_00_01")
    bluez.powers(on=True)
    await radio.power_cycle()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await radio.lost()


async def test_a_power_cycle_is_off_and_on(bluez: StandIn, radio: Radio) -> None:
    await radio.power_cycle()
    set_to = [body[2].value for member, body in bluez.calls if member == "Set"]
    assert set_to == [False, True]


async def test_a_power_cycle_waits_for_a_busy_adapter(bluez: StandIn, radio: Radio) -> None:
    bluez.errors["Set"] = ["org.bluez.Error.Busy", "org.bluez.Error.InProgress"]
    await radio.power_cycle()
    assert bluez.adapter["Powered"].value is True


async def test_a_power_cycle_that_fails_is_an_error(bluez: StandIn, radio: Radio) -> None:
    bluez.errors["Set"] = ["org.bluez.Error.Failed"]
    with pytest.raises(BleakDBusError):
        await radio.power_cycle()


async def test_a_bluetoothd_that_hangs_is_an_error_in_time(
    bluez: StandIn, radio: Radio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(radio_module, "POWER_S_MAX", 0.1)
    bluez.mute.add("Set")
    with pytest.raises(BleakError, match="busy"):
        await radio.power_cycle()
    assert bus_module.CALL_S_MAX <= 10


async def test_a_call_that_is_not_answered_is_an_error_in_time(bluez: StandIn) -> None:
    bluez.mute.add("RemoveDevice")
    async with bus_module.open_bus() as opened, asyncio.timeout(WAIT_S):
        with pytest.raises(BleakError, match="does not answer RemoveDevice"):
            await opened.call(
                ADAPTER, ADAPTER_INTERFACE, "RemoveDevice", "o", [ADAPTER], limit_s=0.05
            )


@pytest.mark.parametrize("name", ["Bonded", "Paired"])  # before 5.65 there is only the second
async def test_a_bond_is_what_bluez_says(bluez: StandIn, radio: Radio, name: str) -> None:
    assert not await radio.is_bonded(DEVICE)
    bluez.add(DEVICE, {name: YES})
    bluez.add(STRANGER, {name: Variant("b", False)})
    assert await radio.is_bonded(DEVICE)
    assert await radio.is_bonded(DEVICE.lower())
    assert not await radio.is_bonded(STRANGER)


async def test_a_device_with_an_object_of_an_old_address_is_found(
    bluez: StandIn, radio: Radio
) -> None:
    """An object keeps the private address it was made for; the device has an identity since."""
    old = f"{ADAPTER}/dev_5A_00_00_00_00_01"
    bluez.add(DEVICE, {"Bonded": YES}, path=old)
    assert await radio.is_bonded(DEVICE)
    await radio.forget(DEVICE)
    assert ("RemoveDevice", [old]) in bluez.calls


async def test_a_device_of_another_adapter_is_another_device(bluez: StandIn, radio: Radio) -> None:
    path = bluez.add(DEVICE, {"Bonded": YES}, path="/org/bluez/hci1/dev_C4_64_E3_00_00_01")
    bluez.devices[path]["Adapter"] = Variant("o", "/org/bluez/hci1")
    assert not await radio.is_bonded(DEVICE)


async def test_forgetting_what_is_forgotten_does_no_harm(bluez: StandIn, radio: Radio) -> None:
    await radio.forget(DEVICE)
    bluez.add(DEVICE)
    bluez.errors["RemoveDevice"] = ["org.bluez.Error.DoesNotExist"]
    await radio.forget(DEVICE)


async def test_a_device_that_cannot_be_removed_is_an_error(bluez: StandIn, radio: Radio) -> None:
    bluez.add(DEVICE)
    bluez.errors["RemoveDevice"] = ["org.bluez.Error.Failed"]
    with pytest.raises(BleakDBusError):
        await radio.forget(DEVICE)


async def _number() -> int:
    return 123456


@pytest.mark.parametrize(
    ("ask", "capability"), [(None, "NoInputNoOutput"), (_number, "KeyboardOnly")]
)
async def test_there_is_an_agent_only_while_pairing(
    bluez: StandIn, radio: Radio, ask: AskPasskey | None, capability: str
) -> None:
    bluez.add(DEVICE)
    assert bluez.agent is None
    async with radio.pairing(DEVICE, ask):
        assert bluez.agent is not None
        assert bluez.agent[2] == capability
        assert bluez.is_default  # bleak calls Pair over another connection than ours
    assert bluez.agent is None


async def test_the_agent_goes_though_the_pairing_failed(bluez: StandIn, radio: Radio) -> None:
    with pytest.raises(KeyError):
        async with radio.pairing(DEVICE, None):
            raise KeyError
    assert bluez.agent is None


@pytest.mark.parametrize(
    ("member", "signature", "rest"),
    [
        ("RequestConfirmation", "ou", [123456]),
        ("RequestAuthorization", "o", []),
        ("AuthorizeService", "os", ["0000110e-0000-1000-8000-00805f9b34fb"]),
        ("DisplayPasskey", "ouq", [123456, 0]),
    ],
)
async def test_only_the_expected_device_is_said_yes_to(
    bluez: StandIn, radio: Radio, member: str, signature: str, rest: list[object]
) -> None:
    expected, stranger = bluez.add(DEVICE), bluez.add(STRANGER)
    async with radio.pairing(DEVICE, None):
        yes = await bluez.asks(member, signature, expected, *rest)
        no = await bluez.asks(member, signature, stranger, *rest)
    assert yes.message_type is MessageType.METHOD_RETURN
    assert no.error_name == "org.bluez.Error.Rejected"


async def test_the_number_is_asked_of_a_person(bluez: StandIn, radio: Radio) -> None:
    expected, stranger = bluez.add(DEVICE), bluez.add(STRANGER)
    asked = 0

    async def read_it() -> int:
        nonlocal asked
        asked += 1
        return 42

    async with radio.pairing(DEVICE, read_it):
        right = await bluez.asks("RequestPasskey", "o", expected)
        wrong = await bluez.asks("RequestPasskey", "o", stranger)
    assert right.body == [42]
    assert wrong.error_name == "org.bluez.Error.Rejected"
    assert asked == 1


async def test_a_number_nobody_gives_is_rejected(bluez: StandIn, radio: Radio) -> None:
    expected = bluez.add(DEVICE)

    async def nobody() -> int:
        raise PasskeyNotGiven

    async with radio.pairing(DEVICE, nobody):
        answer = await bluez.asks("RequestPasskey", "o", expected)
    assert answer.error_name == "org.bluez.Error.Rejected"


@pytest.mark.parametrize("member", ["RequestPasskey", "RequestPinCode", "Frobnicate"])
async def test_what_nobody_can_answer_is_rejected(
    bluez: StandIn, radio: Radio, member: str
) -> None:
    expected = bluez.add(DEVICE)
    async with radio.pairing(DEVICE, None):
        answer = await bluez.asks(member, "o", expected)
    assert answer.error_name == "org.bluez.Error.Rejected"


async def test_bluetoothd_may_take_its_question_back(bluez: StandIn, radio: Radio) -> None:
    expected = bluez.add(DEVICE)
    is_asked, was_stopped = asyncio.Event(), asyncio.Event()

    async def slowly() -> int:
        is_asked.set()
        try:
            return int(await asyncio.Event().wait())
        finally:
            was_stopped.set()

    async with asyncio.timeout(WAIT_S), radio.pairing(DEVICE, slowly):
        question = asyncio.create_task(bluez.asks("RequestPasskey", "o", expected))
        await is_asked.wait()
        await bluez.asks("Cancel", "")
        await was_stopped.wait()
        assert (await question).error_name == "org.bluez.Error.Rejected"


async def test_somebody_else_on_this_machine_is_not_answered(
    address: str, bluez: StandIn, radio: Radio
) -> None:
    expected = bluez.add(DEVICE)
    stranger = await MessageBus(address, bus_type=BusType.SYSTEM).connect()
    async with radio.pairing(DEVICE, _number):
        assert bluez.agent is not None
        owner, path, _ = bluez.agent
        answer = await stranger.call(
            Message(
                destination=owner,
                path=path,
                interface=AGENT,
                member="RequestPasskey",
                signature="o",
                body=[expected],
            )
        )
    stranger.disconnect()
    assert answer.error_name == "org.bluez.Error.Rejected"


async def test_one_pairing_at_a_time(bluez: StandIn, radio: Radio) -> None:
    async with radio.pairing(DEVICE, None):
        with pytest.raises(BleakError, match="being paired"):
            async with radio.pairing(STRANGER, None):
                pass
    assert bluez.agent is None


async def test_an_agent_that_is_not_taken_is_an_error(bluez: StandIn, radio: Radio) -> None:
    bluez.errors["RegisterAgent"] = ["org.bluez.Error.AlreadyExists"]
    with pytest.raises(BleakDBusError):
        async with radio.pairing(DEVICE, None):
            pass
    async with radio.pairing(DEVICE, None):  # and the next try is free to be made
        pass


async def test_who_is_not_paired_with_is_not_even_connected_to(
    bluez: StandIn, radio: Radio
) -> None:
    """Some devices switch off when they are touched without a bond."""
    path = bluez.add(DEVICE, {"Paired": Variant("b", False)})
    client = radio.client(BLEDevice(DEVICE, None, {"path": path}), None, timeout_s=1.0, pair=True)
    with pytest.raises(RefusedError) as refused:
        await client.connect()
    assert refused.value.refusal is Refusal.NOT_PAIRED
    assert "Connect" not in dict(bluez.calls)


async def test_an_agent_that_nobody_waits_for_any_more_is_taken_back(
    bluez: StandIn, radio: Radio
) -> None:
    """bluetoothd may have taken it, and would refuse every later one."""
    bluez.mute.add("RegisterAgent")

    async def pair() -> None:
        async with radio.pairing(DEVICE, None):
            pass

    pairing = asyncio.create_task(pair())
    async with asyncio.timeout(5):
        while "RegisterAgent" not in dict(bluez.calls):  # noqa: ASYNC110 - the stand-in only notes
            await asyncio.sleep(0.01)
    pairing.cancel()
    await asyncio.wait({pairing})
    assert bluez.calls[-1][0] == "UnregisterAgent"
