"""A sender dies: she is told once or twice, never not at all (R11); and several get on together."""

import asyncio
import json
import signal
import sys
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from alerts.channels.settings import MailSettings, SmsSettings
from alerts.ending import end
from alerts.sending import loop
from alerts.sending.move import LEASE
from tests.alerts.sending.conftest import PUBLIC_URL, Told, alert_of
from tests.alerts.sending.dying import POINTS
from tests.alerts.sending.post import Elks, Postbox

SCRIPT = Path(__file__).with_name("dying.py")
NUMBER, MAILBOX = "+46700000001", "anna@region.example"

# How often she is told in all: what was sent before the death is sent again.
TWICE = ("after sending", "before the mark")


async def killed(told: Told, point: str, mail: MailSettings, sms: SmsSettings) -> int:
    """Run a sender until it dies; return how."""
    given = {
        "dsn": told.world.dsn,
        "public_url": PUBLIC_URL,
        "mail": mail.model_dump(mode="json"),
        "sms": sms.model_dump(mode="json"),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(SCRIPT),
        point,
        json.dumps(given),
        cwd=Path(__file__).parents[3],
        env={"PYTHONPATH": str(Path(__file__).parents[3])},
        stdout=asyncio.subprocess.DEVNULL,
    )
    return await process.wait()


@pytest.mark.parametrize("point", POINTS)
async def test_whenever_a_sender_dies_she_is_told(
    *,
    told: Told,
    elks: Elks,
    postbox: Postbox,
    mail_settings: MailSettings,
    sms_settings: SmsSettings,
    point: str,
) -> None:
    told.channel("email", MAILBOX)
    told.course(timedelta(days=365))
    told.notify()
    assert await killed(told, point, mail_settings, sms_settings) == -signal.SIGKILL
    before = len(postbox.letters)
    assert before == (point in TWICE)
    told.now = told.world.one("select clock_timestamp()") + LEASE
    await told.turn()
    assert len(postbox.letters) == before + 1
    assert told.states() == ["sent"]
    first = [] if point == "before the row" else [("email", "unknown")]
    assert told.attempts() == [*first, ("email", "handed_over")]
    assert elks.messages == []


async def test_a_living_sender_is_left_alone_until_its_lease_ends(
    told: Told, postbox: Postbox
) -> None:
    told.channel("email", MAILBOX)
    told.notify()
    postbox.hangs = True
    first = asyncio.create_task(told.turn())
    await until(lambda: len(postbox.letters) == 1)
    told.now += LEASE - timedelta(seconds=1)
    assert await told.turn() == 0
    postbox.hangs = False
    postbox.freed.set()
    await first
    assert (len(postbox.letters), told.states()) == (1, ["sent"])


async def test_a_sender_that_slept_through_its_lease_does_no_harm(
    told: Told, elks: Elks, postbox: Postbox
) -> None:
    """It was taken for dead, another told her; then its own answer comes, and is kept."""
    told.channel("email", MAILBOX)
    told.notify()
    postbox.hangs = True
    first = asyncio.create_task(told.turn())
    await until(lambda: len(postbox.letters) == 1)
    told.now += LEASE
    second = asyncio.create_task(told.turn())
    await until(lambda: len(postbox.letters) == 2)
    assert told.attempts() == [("email", "unknown"), ("email", "sending")]
    postbox.freed.set()
    await asyncio.gather(first, second)
    assert told.attempts() == [("email", "handed_over")] * 2
    assert told.states() == ["sent"]


async def test_an_answer_that_comes_after_the_end_changes_nothing(
    told: Told, postbox: Postbox
) -> None:
    told.channel("email", MAILBOX)
    told.notify()
    postbox.hangs = True
    sending = asyncio.create_task(told.turn())
    await until(lambda: len(postbox.letters) == 1)
    told.world.connection.execute(
        "update notification set state = 'cancelled', due_at = null, ended_at = now()"
    )
    postbox.freed.set()
    await sending
    assert (told.states(), told.attempts()) == (["cancelled"], [("email", "handed_over")])


async def test_several_senders_send_each_message_once(told: Told, elks: Elks) -> None:
    told.channel("sms", NUMBER)
    told.now = told.world.one("select clock_timestamp()")
    wanted = [
        told.notify(alert_id=alert_of(told.world, "marta", told.now, rule=f"limit:{n}"))
        for n in range(60)
    ]
    senders = [asyncio.create_task(loop.run(told.pool, told.carriers)) for _ in range(4)]
    await until(lambda: told.attempts() == [("sms", "accepted")] * len(wanted))
    await end(senders)
    assert all(sender.cancelled() for sender in senders)  # none had fallen over another
    sent = Counter(address for address in elks.receipts)
    assert len(sent) == len(wanted)
    assert set(sent.values()) == {1}


async def test_a_sender_whose_connections_are_cut_goes_on(told: Told, elks: Elks) -> None:
    told.channel("sms", NUMBER)
    told.now = told.world.one("select clock_timestamp()")
    sender = asyncio.create_task(loop.run(told.pool, told.carriers))
    told.notify()
    await until(lambda: told.attempts() == [("sms", "accepted")])
    told.world.connection.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity "
        "where datname = current_database() and pid <> pg_backend_pid()"
    )
    told.notify()
    await until(lambda: told.attempts() == [("sms", "accepted")] * 2)
    await end([sender])
    assert sender.cancelled()
    assert len(elks.messages) == 2


async def test_a_slow_provider_keeps_no_other_message_waiting(
    told: Told, elks: Elks, postbox: Postbox
) -> None:
    postbox.hangs = True
    told.channel("email", MAILBOX, who="anna")
    told.channel("sms", NUMBER, who="eva")
    told.now = told.world.one("select clock_timestamp()")
    told.notify(who="anna")
    sender = asyncio.create_task(loop.run(told.pool, told.carriers))
    await until(lambda: len(postbox.letters) == 1)
    told.notify(who="eva")
    await until(lambda: ("sms", "accepted") in told.attempts())
    assert ("email", "sending") in told.attempts()
    async with asyncio.timeout(2):  # a process that is told to stop does so
        await end([sender])


async def until(holds: Callable[[], bool]) -> None:
    """Wait for what a sender does in its own time; the test has its time limit."""
    while not holds():  # noqa: ASYNC110 - the database tells nobody
        await asyncio.sleep(0.02)
