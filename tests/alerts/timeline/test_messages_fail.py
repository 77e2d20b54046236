"""Mail that is refused, SMS that never arrive: the next is told, and the log says why."""

from collections.abc import AsyncIterator
from datetime import datetime, time
from pathlib import Path

import pytest

from alerts.sending.receipts import Status
from tests.alerts.conftest import Pool
from tests.alerts.sending.post import Behaviour
from tests.alerts.timeline.posted import Posted, post_offices
from tests.alerts.timeline.story import MONDAY, RED, STOCKHOLM, YELLOW
from tests.alerts.world import World

OF_MESSAGES = ("notified", "delivered", "not_delivered", "escalated")


@pytest.fixture
async def story(world: World, pool: Pool, tmp_path: Path) -> AsyncIterator[Posted]:
    """A Monday morning; Anna is the contact, Bo stands in for her, and his telephone rings."""
    morning = datetime.combine(MONDAY, time(7), STOCKHOLM)
    async with pool.connection() as connection, post_offices(tmp_path) as offices:
        carriers, postbox, elks = offices
        told = Posted(
            world, pool, connection, morning, carriers=carriers, postbox=postbox, elks=elks
        )
        told.reports = frozenset({"bo"})
        told.stands_in("bo")
        await told.at("08:12")
        yield told
        told.expects()


def refused(story: Posted, answer: str) -> None:
    assert story.postbox is not None
    story.postbox.said_to_rcpt = answer


def behaves(story: Posted, behaviour: Behaviour) -> None:
    assert story.elks is not None
    story.elks.behaviour = behaviour


@pytest.mark.parametrize(
    "answer",
    [
        "550 5.1.1 no such user",  # at once
        "451 4.3.0 try again later",  # once more after half a minute
        "554 5.7.1 you are not to send here",
    ],
)
async def test_mail_is_down_and_the_next_person_is_told(story: Posted, answer: str) -> None:
    story.mailbox("anna", alone=True)
    refused(story, answer)
    await story.measures("marta", RED)
    await story.at("08:13")
    story.expects("08:12 bo sms")
    assert story.log(*OF_MESSAGES) == [
        "notified opened",
        "not_delivered failed",
        "escalated not_reached",
        "notified not_reached",
        "delivered delivered",
    ]
    refused(story, "")
    await story.takes("bo")


async def test_mail_that_is_down_for_all_is_tried_again_by_each_step(story: Posted) -> None:
    story.mailbox("anna", alone=True)
    story.mailbox("bo", alone=True)
    refused(story, "421 4.3.2 shutting down")
    await story.measures("marta", RED)
    await story.at("08:40")
    refused(story, "")
    await story.at("09:15")
    # All have failed by 08:13; what is repeated is repeated each half hour.
    story.expects("08:43 anna mail", "08:43 bo mail", "09:13 anna mail", "09:13 bo mail")


async def test_yellow_by_a_mail_that_is_down_goes_to_the_next(story: Posted) -> None:
    story.mailbox("anna", alone=True)
    refused(story, "550 5.1.1 no such user")
    await story.measures("marta", YELLOW)
    await story.at("12:00")
    story.expects("08:12 bo sms")


async def test_an_sms_that_never_arrives_is_followed_by_the_next_person(story: Posted) -> None:
    await story.measures("marta", RED)
    story.expects("08:12 anna sms")
    await story.at("08:13")
    story.expects()
    await story.at("08:15")
    story.expects("08:14 bo sms")
    assert story.log(*OF_MESSAGES) == [
        "notified opened",
        "not_delivered failed",
        "escalated not_reached",
        "notified not_reached",
        "delivered delivered",
    ]


async def test_an_sms_that_never_arrives_is_followed_by_her_mail(story: Posted) -> None:
    story.mailbox("anna")
    await story.measures("marta", RED)
    await story.at("08:21")
    story.expects("08:12 anna sms", "08:14 anna mail")
    await story.at("08:22")
    story.expects("08:22 bo sms")


async def test_an_sms_of_which_a_receipt_came_is_followed_by_nothing_before_its_time(
    story: Posted,
) -> None:
    await story.measures("marta", RED)
    await story.at("08:13")
    await story.receipt(0)
    await story.at("08:21")
    story.expects("08:12 anna sms")
    await story.at("08:22")
    story.expects("08:22 bo sms")


async def test_an_sms_that_is_said_to_have_failed_is_followed_at_once(story: Posted) -> None:
    await story.measures("marta", RED)
    await story.at("08:13")
    await story.receipt(0, Status.FAILED)
    await story.turn()
    story.expects("08:12 anna sms", "08:13 bo sms")


@pytest.mark.parametrize("behaviour", [Behaviour.BUSY, Behaviour.REFUSES, Behaviour.BABBLES])
async def test_a_provider_of_sms_that_is_away_is_followed_by_her_mail_at_once(
    story: Posted, behaviour: Behaviour
) -> None:
    story.mailbox("anna")
    behaves(story, behaviour)
    await story.measures("marta", RED)
    await story.at("08:13")
    heard = [line for line in story.heard if line.endswith("mail")]
    assert heard == ["08:12 anna mail"]
    behaves(story, Behaviour.GOOD)
    await story.takes("anna")
    story.heard.clear()
