"""What the provider says afterwards: believed only at the address it was given, and only once."""

from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import FastAPI

from alerts.channels import receipt
from alerts.channels.outcome import Outcome, State
from alerts.sending import store
from alerts.web.services import ServicesOf
from tests.alerts.sending.conftest import RECEIPT_SECRET, Told
from tests.alerts.sending.post import Elks, Postbox

NUMBER, MAILBOX = "+46700000001", "anna@region.example"


@pytest.fixture
def web(app: FastAPI, told: Told) -> httpx.AsyncClient:
    """The provider's way to us."""
    services: ServicesOf = app.state.services
    app.state.services = replace(services, carriers=told.carriers)
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url="http://test"
    )


async def say(web: httpx.AsyncClient, address: str, **form: str) -> int:
    return (await web.post(urlsplit(address).path, data=form)).status_code


async def test_a_receipt_in_time_ends_it(told: Told, elks: Elks, web: httpx.AsyncClient) -> None:
    channel = told.channel("sms", NUMBER)
    told.notify()
    await told.turn()
    delivered = {"id": elks.keys[0], "status": "delivered", "delivered": "2026-11-22T07:12:09"}
    assert await say(web, elks.receipts[0], id=elks.keys[0], status="sent") == 204
    assert told.states() == ["sent"]
    assert await say(web, elks.receipts[0], **delivered) == 204
    assert (told.states(), told.attempts()) == (["delivered"], [("sms", "delivered")])
    assert told.world.one("select delivered_at is not null from attempt")
    assert told.world.one(
        "select verified_at > %s from channel where channel_id = %s", told.now, channel
    )
    assert told.events() == ["delivered"]
    # Once more, and then the opposite: it lies, or repeats itself.
    assert await say(web, elks.receipts[0], **delivered) == 204
    assert await say(web, elks.receipts[0], id=elks.keys[0], status="failed") == 204
    assert (told.states(), told.events()) == (["delivered"], ["delivered"])
    assert told.attempts() == [("sms", "delivered")]
    assert await told.turn(timedelta(hours=1)) == 0


async def test_a_late_receipt_still_counts(
    told: Told, elks: Elks, postbox: Postbox, web: httpx.AsyncClient
) -> None:
    told.channel("sms", NUMBER)
    told.course()
    told.notify()
    await told.turn()
    await told.turn(timedelta(minutes=2))
    assert told.states() == ["failed"]
    assert await say(web, elks.receipts[0], id=elks.keys[0], status="delivered") == 204
    assert (told.states(), told.attempts()) == (["delivered"], [("sms", "delivered")])
    assert told.events() == ["not_delivered", "delivered"]


async def test_a_receipt_of_failure_lets_the_next_channel_be_tried_at_once(
    told: Told, elks: Elks, postbox: Postbox, web: httpx.AsyncClient
) -> None:
    told.channel("sms", NUMBER)
    told.channel("email", MAILBOX)
    told.notify()
    await told.turn()
    assert await say(web, elks.receipts[0], id=elks.keys[0], status="failed") == 204
    assert told.attempts() == [("sms", "failed")]
    told.now = told.world.one("select clock_timestamp()")  # by which the receipt came
    await told.turn()
    assert len(postbox.letters) == 1
    assert len(elks.messages) == 1


async def test_a_receipt_faster_than_the_providers_own_answer_is_kept(
    told: Told, elks: Elks, web: httpx.AsyncClient
) -> None:
    told.channel("sms", NUMBER)
    told.notify()
    async with told.pool.connection() as connection:
        (one,) = (await store.claim(connection, ["sms"], told.now, 5)).to_send
        assert (
            await say(
                web,
                receipt.address("https://egenmonitor.example", RECEIPT_SECRET, one.attempt_id),
                id="s1",
                status="delivered",
            )
            == 204
        )
        outcome = Outcome(state=State.ACCEPTED, provider_key="s1")
        await store.mark(connection, one.attempt_id, outcome, told.now)
    assert (told.states(), told.attempts()) == (["delivered"], [("sms", "delivered")])
    assert told.events() == ["delivered"]


# How an address or a form is changed, and the answer: what is not said with 2xx is told again.
STRANGE = [
    ("/delivery/sms/1/{token}", {}, 404),  # another attempt's proof
    ("{path}x", {}, 404),
    ("/delivery/sms/{attempt}/", {}, 404),
    ("/delivery/sms/-1/{token}", {}, 404),
    ("/delivery/sms/99999999999999999999/{token}", {}, 404),
    ("{path}", {"id": "s-of-another-message"}, 404),
    ("{path}", {"id": ""}, 422),
    ("{path}", {"id": "s\x00"}, 422),
    ("{path}", {"id": "s" * 101}, 422),
    ("{path}", {"status": ""}, 204),
    ("{path}", {"status": "levererat"}, 204),  # a word of a newer version
]


async def test_what_is_no_receipt_of_ours_changes_nothing(
    told: Told, elks: Elks, web: httpx.AsyncClient
) -> None:
    told.channel("sms", NUMBER)
    told.notify()
    told.world.connection.execute("alter sequence attempt_attempt_id_seq restart with 5")
    await told.turn()
    path = urlsplit(elks.receipts[0]).path
    *_, attempt, token = path.split("/")
    for change, form, status in STRANGE:
        address = change.format(path=path, token=token, attempt=attempt)
        said = {"id": elks.keys[0], "status": "delivered", **form}
        answer = await web.post(address, data=said)
        assert (change, form, answer.status_code) == (change, form, status)
    assert (told.states(), told.attempts()) == (["sent"], [("sms", "accepted")])


async def test_a_true_proof_of_an_attempt_that_never_was_is_not_found(
    told: Told, web: httpx.AsyncClient
) -> None:
    address = receipt.address("https://egenmonitor.example", RECEIPT_SECRET, 4711)
    assert await say(web, address, id="s1", status="delivered") == 404


async def test_where_no_sms_are_sent_there_are_no_receipts(app: FastAPI) -> None:
    address = receipt.address("http://test", RECEIPT_SECRET, 1)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answer = await client.post(address, data={"id": "s1", "status": "delivered"})
    assert answer.status_code == 404
