"""SMS against a local server that speaks as 46elks does, well or badly."""

import dataclasses
from pathlib import Path

import pytest

from alerts.alert import Level
from alerts.channels import message, receipt
from alerts.channels.channel import Carriers
from alerts.channels.message import Kind
from alerts.channels.outcome import Fault, Outcome, State
from alerts.channels.settings import SmsSettings
from alerts.channels.sms import Sms
from simulator.embedded.child import free_port
from tests.alerts.sending.conftest import PUBLIC_URL, RECEIPT_SECRET
from tests.alerts.sending.post import ELKS_PASSWORD, Behaviour, Elks

NUMBER = "+46700000001"


@pytest.fixture
def sms(carriers: Carriers) -> Sms:
    carrier = carriers.by_kind[Kind.SMS]
    assert isinstance(carrier, Sms)
    return carrier


async def sent(sms: Sms, attempt_id: int | None = 7) -> Outcome:
    return await sms.send(NUMBER, message.of_alert(Level.YELLOW, PUBLIC_URL), attempt_id)


async def test_a_message_is_accepted_and_its_receipts_have_an_address_of_their_own(
    sms: Sms, elks: Elks
) -> None:
    outcome = await sent(sms)
    assert outcome == Outcome(state=State.ACCEPTED, provider_key=elks.keys[0], reply="200 created")
    proof = receipt.token(RECEIPT_SECRET, 7)
    assert elks.messages == [
        {
            "from": "Egenmonitor",
            "to": NUMBER,
            "message": "Nytt larm i arbetslistan. Logga in och titta: https://egenmonitor.example/",
            "whendelivered": f"https://egenmonitor.example/delivery/sms/7/{proof}",
        }
    ]
    assert RECEIPT_SECRET not in str(elks.messages)


async def test_a_test_message_asks_for_no_receipt(sms: Sms, elks: Elks) -> None:
    await sms.send(NUMBER, message.of_test("123456"), None)
    assert "whendelivered" not in elks.messages[0]
    assert "123456" in elks.messages[0]["message"]


@pytest.mark.parametrize(
    ("behaviour", "state", "fault"),
    [
        (Behaviour.BUSY, State.FAILED, Fault.PROVIDER),
        (Behaviour.REFUSES, State.FAILED, Fault.OURS),
        (Behaviour.BAD_REQUEST, State.FAILED, Fault.OURS),
        (Behaviour.BABBLES, State.UNKNOWN, Fault.PROVIDER),
        (Behaviour.NESTS, State.UNKNOWN, Fault.PROVIDER),
        (Behaviour.NAMELESS, State.UNKNOWN, Fault.PROVIDER),
        (Behaviour.FLOODS, State.UNKNOWN, Fault.PROVIDER),
        (Behaviour.HANGS, State.UNKNOWN, Fault.PROVIDER),
        (Behaviour.CUTS, State.UNKNOWN, Fault.PROVIDER),
    ],
)
async def test_what_a_provider_does_badly_is_never_taken_for_done(
    sms: Sms, elks: Elks, behaviour: Behaviour, state: State, fault: Fault
) -> None:
    elks.behaviour = behaviour
    outcome = await sent(dataclasses.replace(sms, wait_s=0.5))
    assert (outcome.state, outcome.fault) == (state, fault)
    assert NUMBER.removeprefix("+") not in outcome.reply


async def test_a_provider_that_is_not_there_has_surely_not_taken_it(sms: Sms) -> None:
    gone = sms.settings.model_copy(update={"url": f"http://127.0.0.1:{free_port()}/a1/sms"})
    outcome = await sent(dataclasses.replace(sms, settings=gone))
    assert (outcome.state, outcome.fault) == (State.FAILED, Fault.PROVIDER)


async def test_a_password_that_was_changed_in_its_file_is_used(sms: Sms, elks: Elks) -> None:
    sms.settings.password_file.write_text("fel")
    assert (await sent(sms)).fault is Fault.OURS
    sms.settings.password_file.write_text(ELKS_PASSWORD)
    assert (await sent(sms)).state is State.ACCEPTED
    sms.settings.password_file.unlink()
    assert (await sent(sms)).fault is Fault.OURS


@pytest.mark.parametrize("address", ["", "070-1740605", "\x00", "åäö", "+46" + "7" * 500])
async def test_an_odd_number_is_passed_on_whole(sms: Sms, elks: Elks, address: str) -> None:
    outcome = await sms.send(address, message.of_test("1"), None)
    assert outcome.state is State.ACCEPTED
    assert elks.messages[0].get("to", "") == address


@pytest.mark.parametrize(
    "sender", ["Egen monitor", "ab", "Egenmonitoring", "070", "+0700000000", ""]
)
def test_a_sender_that_networks_refuse_is_found_when_starting(
    sms_settings: SmsSettings, sender: str
) -> None:
    with pytest.raises(ValueError, match="sender"):
        SmsSettings(**{**sms_settings.model_dump(), "sender": sender})


def test_an_ordinary_address_fits_into_one_sms() -> None:
    for level in Level:
        text = message.of_alert(level, "https://egenmonitorering.regionvasternorrland.example").text
        assert len(text) <= 160
        assert set(text) <= {*map(chr, range(32, 127)), *"åäöÅÄÖ"}  # GSM 03.38 has them all
    assert len(message.of_test("123456").text) <= 160


def test_a_proof_is_of_one_attempt(tmp_path: Path) -> None:
    proof = receipt.token("a", 7)
    assert receipt.is_ours("a", 7, proof)
    for secret, attempt_id, other in (("b", 7, proof), ("a", 8, proof), ("a", 7, proof[:-1])):
        assert not receipt.is_ours(secret, attempt_id, other)
