"""Mail against a real SMTP server: what it was given, and what its answers mean."""

import dataclasses
from pathlib import Path

import pytest

from alerts.alert import Level
from alerts.channels import message
from alerts.channels.channel import Carriers
from alerts.channels.mail import Mail
from alerts.channels.outcome import Fault, Outcome, State
from alerts.channels.settings import MailSettings
from simulator.embedded.child import free_port
from tests.alerts.sending.post import Postbox

RED = message.of_alert(Level.RED, "https://egenmonitor.example/")


async def sent(mail: Mail, address: str = "anna@region.example") -> Outcome:
    return await mail.send(address, RED, 7)


@pytest.fixture
def mail(mail_settings: MailSettings) -> Mail:
    return Mail(mail_settings)


async def test_a_letter_is_handed_over_and_the_servers_answer_kept(
    mail: Mail, postbox: Postbox
) -> None:
    outcome = await sent(mail)
    (letter,) = postbox.letters
    assert outcome == Outcome(
        state=State.HANDED_OVER,
        provider_key=letter["Message-ID"],
        reply="2.0.0 OK queued as 4F2A",
    )
    assert postbox.recipients == [["anna@region.example"]]
    assert letter["Subject"] == "Nytt rött larm i arbetslistan" or "=?utf-8?" in letter["Subject"]
    assert letter["Auto-Submitted"] == "auto-generated"
    assert letter["From"] == "Egenmonitor <larm@egenmonitor.example>"
    text = letter.get_payload(decode=True)
    assert isinstance(text, bytes)
    assert "https://egenmonitor.example/" in text.decode()


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        ("550 5.1.1 no such user here", Fault.ADDRESS),
        ("552 5.2.2 mailbox full", Fault.ADDRESS),
        ("550 no such user here", Fault.ADDRESS),
        ("554 5.7.1 relay access denied", Fault.OURS),
        ("530 5.7.0 authentication required", Fault.OURS),
        ("451 4.7.1 greylisted, try later", Fault.PROVIDER),
        ("421 4.3.2 shutting down", Fault.PROVIDER),
    ],
)
async def test_a_refused_address_says_whose_fault_it_is(
    mail: Mail, postbox: Postbox, answer: str, fault: Fault
) -> None:
    postbox.said_to_rcpt = answer
    outcome = await sent(mail)
    assert (outcome.state, outcome.fault) == (State.FAILED, fault)
    assert outcome.reply == answer
    assert postbox.letters == []


@pytest.mark.parametrize(
    ("answer", "fault"),
    [("554 5.6.0 not liked", Fault.OURS), ("452 4.3.1 no room", Fault.PROVIDER)],
)
async def test_a_refused_letter_is_not_the_addresss_fault(
    mail: Mail, postbox: Postbox, answer: str, fault: Fault
) -> None:
    postbox.said_to_data = answer
    outcome = await sent(mail)
    assert (outcome.state, outcome.fault) == (State.FAILED, fault)


async def test_what_a_server_repeats_of_an_address_is_not_kept(
    mail: Mail, postbox: Postbox
) -> None:
    postbox.said_to_rcpt = "550 5.1.1 <anna@region.example>: 46700000001 unknown"
    outcome = await sent(mail)
    assert outcome.reply == "550 5.1.1 <…>: … unknown"


async def test_a_server_that_hangs_is_left_in_time_and_may_have_taken_it(
    mail: Mail, postbox: Postbox
) -> None:
    postbox.hangs = True
    outcome = await sent(dataclasses.replace(mail, wait_s=0.2))
    assert (outcome.state, outcome.fault) == (State.UNKNOWN, Fault.PROVIDER)
    assert len(postbox.letters) == 1


async def test_a_server_that_takes_it_and_says_no_goodbye_has_taken_it(
    mail: Mail, postbox: Postbox
) -> None:
    postbox.says_goodbye = False
    assert (await sent(dataclasses.replace(mail, wait_s=30.0))).state is State.HANDED_OVER
    assert len(postbox.letters) == 1


async def test_a_server_that_is_down_is_a_failure_of_the_provider(
    mail_settings: MailSettings,
) -> None:
    down = mail_settings.model_copy(update={"port": free_port()})
    outcome = await sent(Mail(down))
    assert (outcome.state, outcome.fault) == (State.FAILED, Fault.PROVIDER)


async def test_a_password_that_cannot_be_read_is_ours_to_mend(
    mail_settings: MailSettings, tmp_path: Path
) -> None:
    gone = {"tls": "tls", "username": "larm", "password_file": tmp_path / "gone"}
    outcome = await sent(Mail(mail_settings.model_copy(update=gone)))
    assert (outcome.state, outcome.fault) == (State.FAILED, Fault.OURS)
    assert "a secret cannot be read" in outcome.reply


@pytest.mark.parametrize("tls", ["starttls", "tls"])
async def test_nothing_goes_in_clear_to_a_server_that_cannot_encrypt(
    mail_settings: MailSettings, postbox: Postbox, tls: str
) -> None:
    asked = Mail(mail_settings.model_copy(update={"tls": tls}), wait_s=2.0)
    outcome = await sent(asked)
    assert outcome.state in (State.FAILED, State.UNKNOWN)
    assert postbox.letters == []


@pytest.mark.parametrize(
    "address", ["", "anna", "a@b\r\nBcc: alla@region.example", "a@b, c@d", "\x00", "å@ö.example"]
)
async def test_an_odd_address_reaches_itself_or_nobody(
    mail: Mail, postbox: Postbox, address: str
) -> None:
    outcome = await sent(mail, address)
    assert outcome.state in (State.FAILED, State.HANDED_OVER)
    assert all(reached == [address] for reached in postbox.recipients)
    assert all("alla@" not in str(letter) for letter in postbox.letters)


def test_a_password_is_never_sent_in_clear(mail_settings: MailSettings) -> None:
    given = {**mail_settings.model_dump(), "username": "larm"}
    with pytest.raises(ValueError, match="belong together"):
        MailSettings(**given)
    with pytest.raises(ValueError, match="never sent in clear"):
        MailSettings(**{**given, "password_file": __file__})


def test_what_is_not_set_carries_nothing(carriers: Carriers) -> None:
    assert carriers.kinds == ["apprise", "email", "sms"]  # no voice
    assert "hemligt" not in repr(carriers)
