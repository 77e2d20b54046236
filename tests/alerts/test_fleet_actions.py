"""What a technician does, in the database: lend, take back, ask for a pairing."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from alerts.enrolment.revocation import revoke
from alerts.fleet import actions, queries
from alerts.fleet.actions import Answer
from alerts.fleet.gateway import Urgency
from devices.wire import LENT_MAX, DeviceStatus, PairingStep
from ingest import lending
from tests.alerts.gateways import NOW, STRAY, follow, register, renew, say, stand, unwell
from tests.alerts.world import GATEWAY, World, device

MODEL = "mi_scale_v2"
UNRELATED = "C4:64:E3:00:00:0A"
Work = Callable[[psycopg.AsyncConnection[Any]], Awaitable[Any]]


async def do(world: World, work: Work) -> Any:
    async with await psycopg.AsyncConnection.connect(world.dsn, autocommit=True) as connection:
        return await work(connection)


async def lend(
    world: World, device_id: str, gateway_id: str = GATEWAY, model: str = MODEL
) -> Answer:
    staff_id = world.staff("tove")
    answer: Answer = await do(
        world, lambda c: actions.lend(c, staff_id, gateway_id, device_id, model)
    )
    return answer


async def take_back(world: World, device_id: str, gateway_id: str = GATEWAY) -> Answer:
    staff_id = world.staff("tove")
    answer: Answer = await do(
        world, lambda c: actions.take_back(c, staff_id, gateway_id, device_id)
    )
    return answer


async def ask(world: World, model: str = MODEL, device_id: str = "") -> Answer:
    staff_id = world.staff("tove")
    answer: Answer = await do(
        world, lambda c: actions.ask_pairing(c, staff_id, GATEWAY, model, device_id)
    )
    return answer


async def lent(world: World, gateway_id: str = GATEWAY) -> dict[str, str]:
    """Return the gateway's list as it goes out to it."""
    await renew(world)
    found = await do(world, lambda c: queries.gateway(c, gateway_id))
    assert found is not None
    listed: dict[str, str] = found.lent
    return listed


def loans(world: World, device_id: str) -> list[tuple[Any, ...]]:
    return world.rows(
        "select patient_id, returned_at is null from device_loan where device_id = %s", device_id
    )


async def test_what_is_lent_where_one_person_lives_is_hers(world: World) -> None:
    stand(world, "marta")
    assert await lend(world, STRAY.lower()) is Answer.DONE
    assert loans(world, STRAY) == [(world.patient("marta"), True)]
    assert await lent(world) == {device("marta"): "", STRAY: MODEL}


@pytest.mark.parametrize("people", [(), ("marta", "kalle")])
async def test_whose_it_is_where_several_live_or_nobody_is_not_guessed(
    world: World, people: tuple[str, ...]
) -> None:
    stand(world, *people)
    assert await lend(world, STRAY) is Answer.DONE_FOR_HOME
    assert loans(world, STRAY) == []
    assert STRAY in await lent(world)


async def test_what_is_taken_back_is_served_no_more_and_history_stays(world: World) -> None:
    stand(world, "marta")
    await lend(world, STRAY)
    for each in (STRAY, device("marta")):
        assert await take_back(world, each) is Answer.DONE
        assert [is_on_loan for _, is_on_loan in loans(world, each)] == [False]
        assert await take_back(world, each) is Answer.NOT_LENT
    assert await lent(world) == {}
    kinds = world.rows("select kind, detail->>'device_id' from gateway_event order by event_id")
    assert kinds == [("lent", STRAY), ("returned", STRAY), ("returned", device("marta"))]
    assert await lend(world, STRAY) is Answer.DONE
    assert world.one("select count(*) from gateway_device where device_id = %s", STRAY) == 2


async def test_a_patients_loan_that_begins_or_ends_stands_in_the_access_log(world: World) -> None:
    stand(world, "marta")
    await lend(world, STRAY)
    for each in (STRAY, device("marta")):
        await take_back(world, each)
    logged = world.rows(
        "select action, ground, staff_id, unit_id, l.patient_id, o.device_id from access_log l "
        "left join device_loan o on o.loan_id = (l.detail->>'loan_id')::bigint "
        "where l.patient_id is not null order by number"
    )
    tove, unit = world.staff("tove"), world.viewer("tove").unit_id
    assert logged == [
        (f"device_{done}", "technician", tove, unit, world.patient("marta"), each)
        for done, each in (("lent", STRAY), ("returned", STRAY), ("returned", device("marta")))
    ]
    notes = world.rows(
        "select lent_by, model, returned_by, n.returned_at = o.returned_at "
        "from loan_note n join device_loan o using (loan_id) where device_id = %s",
        STRAY,
    )
    assert notes == [(tove, MODEL, tove, True)]


async def test_a_loan_of_somebody_who_has_moved_from_a_gateway_is_not_ended_there(
    world: World,
) -> None:
    stand(world, "marta")
    world.connection.execute("update gateway_home set until_at = now()")
    assert await take_back(world, device("marta")) is Answer.NOT_LENT
    assert loans(world, device("marta")) == [(world.patient("marta"), True)]


async def test_what_is_taken_back_at_one_of_two_gateways_is_off_both_lists(world: World) -> None:
    register(world, "g-other", "g-third")
    stand(world, "marta")
    stand(world, "marta", gateway_id="g-other")
    for each in (STRAY, UNRELATED):
        assert await lend(world, each, "g-other") is Answer.DONE
    assert await take_back(world, STRAY) is Answer.DONE
    assert [is_on_loan for _, is_on_loan in loans(world, STRAY)] == [False]
    assert STRAY not in await lent(world, "g-other")
    assert UNRELATED in await lent(world, "g-other")
    told = world.rows("select gateway_id from gateway_event where kind = 'returned' order by 1")
    assert told == [("g-other",), (GATEWAY,)]
    assert await lend(world, STRAY, "g-third") is Answer.DONE_FOR_HOME


async def test_a_gateway_that_is_revoked_stands_nowhere(world: World) -> None:
    register(world, "g-other")
    stand(world, "marta")
    await lend(world, STRAY)
    await ask(world)
    await do(world, lambda c: actions.give_passkey(c, GATEWAY, "123456"))
    await renew(world)
    await do(world, lambda c: revoke(c, GATEWAY))
    assert world.rows("select until_at <= now() from gateway_home") == [(True,)]
    assert world.rows("select ended_at is null from pairing_request") == [(False,)]
    assert world.rows("select from gateway_config where content::text ~ 'passkey'") == []
    assert loans(world, STRAY) == [(world.patient("marta"), True)]
    assert await take_back(world, STRAY) is Answer.DONE
    assert await lend(world, STRAY, "g-other") is Answer.DONE_FOR_HOME


async def test_what_she_took_along_from_a_revoked_gateway_is_not_taken_back_there(
    world: World,
) -> None:
    register(world, "g-other")
    stand(world, "marta")
    await do(world, lambda c: revoke(c, GATEWAY))
    stand(world, "marta", gateway_id="g-other")
    assert await take_back(world, device("marta")) is Answer.NOT_LENT
    assert device("marta") in await lent(world, "g-other")


async def test_a_device_is_lent_once(world: World) -> None:
    register(world, "g-other")
    stand(world, "marta")
    await lend(world, STRAY)
    assert await lend(world, STRAY) is Answer.LENT_HERE
    assert await lend(world, STRAY, "g-other") is Answer.LENT_ELSEWHERE
    assert await lend(world, device("marta")) is Answer.LENT_HERE
    assert await lend(world, device("kalle")) is Answer.LENT_ELSEWHERE
    assert await take_back(world, STRAY, "g-other") is Answer.NOT_LENT


async def test_two_technicians_lend_one_device_once(world: World) -> None:
    register(world, "g-other")
    answers = await asyncio.gather(
        *(lend(world, STRAY, gateway_id) for gateway_id in (GATEWAY, "g-other") * 5)
    )
    assert answers.count(Answer.DONE_FOR_HOME) == 1
    assert set(answers) <= {Answer.DONE_FOR_HOME, Answer.LENT_HERE, Answer.LENT_ELSEWHERE}


async def test_what_makes_no_sense_is_refused(world: World) -> None:
    assert await lend(world, "Märta") is Answer.NO_ADDRESS
    assert await lend(world, STRAY, model="nothing") is Answer.NO_MODEL
    assert await lend(world, STRAY, "g-nowhere") is Answer.RETIRED
    assert await ask(world, "") is Answer.NO_MODEL
    assert await ask(world, device_id="x") is Answer.NO_ADDRESS
    world.connection.execute("update gateway set retired_at = now()")
    assert await lend(world, STRAY) is Answer.RETIRED
    assert await ask(world) is Answer.RETIRED


async def test_what_was_lent_through_a_gateway_that_is_retired_can_be_lent_elsewhere(
    world: World,
) -> None:
    register(world, "g-other")
    await lend(world, STRAY)
    await renew(world)
    world.connection.execute("update gateway set retired_at = now() where gateway_id = 'g-test'")
    assert await lend(world, STRAY, "g-other") is Answer.LENT_ELSEWHERE
    assert await take_back(world, STRAY) is Answer.DONE
    assert await lent(world) == {}  # though no configuration is made for it any more
    assert await lend(world, STRAY, "g-other") is Answer.DONE_FOR_HOME
    assert await take_back(world, STRAY, "g-nowhere") is Answer.NOT_LENT


async def test_what_was_lent_is_seen_before_ingest_has_made_a_configuration_of_it(
    world: World,
) -> None:
    await lend(world, STRAY)
    found = await do(world, lambda c: queries.gateway(c, GATEWAY))
    assert found.lent == {STRAY: MODEL}


async def test_a_full_list_takes_no_more(world: World) -> None:
    for number in range(LENT_MAX):
        world.connection.execute(
            "insert into gateway_device (gateway_id, device_id) values (%s, %s)",
            (GATEWAY, f"C4:64:E3:01:00:{number:02X}"),
        )
    assert await lend(world, STRAY) is Answer.FULL


async def test_one_pairing_at_a_time(world: World) -> None:
    assert await ask(world) is Answer.DONE
    assert await ask(world) is Answer.BUSY
    world.connection.execute("update pairing_request set expires_at = now()")
    assert await ask(world, "beurer_bf", STRAY.lower()) is Answer.DONE
    found = await do(world, lambda c: queries.last_pairing(c, GATEWAY))
    assert (found.model, found.device_id, found.is_open) == ("beurer_bf", STRAY, True)


async def test_the_passkey_goes_to_the_pairing_that_goes_on(world: World) -> None:
    async def give(text: str) -> Any:
        return await do(world, lambda c: actions.give_passkey(c, GATEWAY, text))

    assert await give("123456") is Answer.NO_PAIRING
    await ask(world, "beurer_bf")
    for wrong in ("", "1234567", "12a", "-1"):
        assert await give(wrong) is Answer.NO_PASSKEY
    assert await give(" 012 345 ") is Answer.DONE
    assert world.one("select passkey from pairing_request") == 12345
    (made,) = await do(world, lambda c: lending.renew(c, [GATEWAY]))
    assert made.content["pairing"]["passkey"] == 12345
    await follow(world, PairingStep.DONE, device_id=STRAY)
    assert world.one("select passkey from pairing_request") is None
    assert await give("123456") is Answer.NO_PAIRING


async def test_a_pairing_that_is_cancelled_is_withdrawn(world: World) -> None:
    async def cancel() -> Any:
        return await do(world, lambda c: actions.cancel_pairing(c, world.staff("tove"), GATEWAY))

    assert await cancel() is Answer.NO_PAIRING
    await ask(world)
    assert await cancel() is Answer.DONE
    await renew(world)
    assert world.one("select count(*) from gateway_config where content ? 'pairing'") == 0


async def listed(world: World, sought: str = "") -> queries.Listed:
    found = await do(world, lambda c: queries.gateways(c, datetime.now(UTC), sought))
    assert isinstance(found, queries.Listed)
    return found


async def test_the_most_urgent_of_all_are_listed_and_all_are_counted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is urgent by its status alone comes before what is only soon, whatever its name."""
    monkeypatch.setattr(queries, "LISTED_MAX", 3)
    await unwell(world)
    for number in range(5):
        register(world, f"g-a-{number}")
        low = DeviceStatus(device_id=STRAY, battery_percent=1)
        await say(world, f"g-a-{number}", devices=(low,))
    register(world, "g-z")
    await say(world, "g-z", certificate_until=NOW - timedelta(days=1))
    found = await listed(world)
    assert [one.gateway_id for one in found.gateways] == ["g-test", "g-tyst", "g-z"]
    assert found.counts[Urgency.NOW] == 3
    assert found.counts.total() == 11
    assert found.gateways[0].people == 1


async def test_the_most_urgent_are_among_those_listed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "LISTED_MAX", 3)
    await unwell(world)
    for number in range(10):
        register(world, f"g-well-{number}")
        await say(world, f"g-well-{number}")
    found = await listed(world)
    assert {one.gateway_id for one in found.gateways} == {"g-batteri", "g-tyst", "g-test"}


async def test_boxes_that_were_never_heard_hide_none_that_fell_silent(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "LISTED_MAX", 3)
    await unwell(world)
    register(world, *(f"g-shelf-{number}" for number in range(5)))
    found = await listed(world)
    assert {"g-tyst", "g-test"} < {one.gateway_id for one in found.gateways}


@pytest.mark.parametrize(
    ("sought", "expected"),
    [
        ("tys", ["g-tyst"]),
        ("C4:00:00:00:00:00", ["g-test"]),
        ("c4:00:00:00:00:00", ["g-test"]),
        ("c40000000000", ["g-test"]),
        ("C4:00:00", []),
        ("%", []),
        ("_", ["g_under"]),
        ("nowhere", []),
    ],
)
async def test_a_gateway_is_found_by_its_name_or_by_a_device(
    world: World, sought: str, expected: list[str]
) -> None:
    await unwell(world)
    register(world, "g_under")
    found = await listed(world, sought)
    assert sorted(one.gateway_id for one in found.gateways) == expected


async def test_unreadable_words_are_told_until_a_readable_one_comes(world: World) -> None:
    async def unreadable() -> int:
        found = await do(world, lambda c: queries.gateway(c, GATEWAY))
        assert found is not None
        count: int = found.unreadable
        return count

    await say(world)
    world.connection.execute(
        "insert into quarantine (fingerprint, arrived_at, gateway_id, topic, reason, detail, "
        "content, repeats) values ('x', clock_timestamp(), %s, %s, 'malformed_message', '', '', 4)",
        (GATEWAY, f"egenmonitor/v1/{GATEWAY}/status"),
    )
    assert await unreadable() == 5
    await say(world)
    assert await unreadable() == 0


async def test_the_canary_s_gateway_is_no_box_in_a_home_and_is_not_listed(world: World) -> None:
    register(world, "g-canary")
    assert "g-canary" in {each.gateway_id for each in (await listed(world)).gateways}
    world.connection.execute("update gateway set is_canary = true where gateway_id = 'g-canary'")
    assert "g-canary" not in {each.gateway_id for each in (await listed(world)).gateways}
    assert not (await listed(world, "g-canary")).gateways
