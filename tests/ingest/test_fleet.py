"""What gateways say is stored: the last word, a bounded history, and what is refused."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from devices.wire import (
    Condition,
    DeviceStatus,
    GatewayState,
    GatewayStatus,
    PairingStatus,
    PairingStep,
    TopicKind,
    topic,
)
from ingest import fleet
from ingest.quarantine import Refused
from ingest.status import Said, read
from tests.ingest.county import CUFF, GATEWAY, NOW, County


def status(state: GatewayState = GatewayState.ONLINE, **more: Any) -> GatewayStatus:
    return GatewayStatus(v=1, gateway=GATEWAY, state=state, **more)


def said(one: GatewayStatus, minutes: float = 0, *, since: datetime = NOW) -> Said:
    return Said(one.gateway, one, False, since + timedelta(minutes=minutes))


def store(county: County, *story: Said, bad: Sequence[Refused] = ()) -> list[str]:
    async def work() -> list[str]:
        async with await psycopg.AsyncConnection.connect(county.dsn, autocommit=True) as connection:
            return await fleet.store(connection, story, bad)

    return asyncio.run(work())


def test_the_last_word_is_kept_and_what_changed(county: County) -> None:
    device = DeviceStatus(device_id=CUFF, battery_percent=15)
    first = status(version="1", outbox=3, config_version=2, devices=(device,))
    assert store(county, said(first)) == [GATEWAY]
    store(county, said(status(version="2", oldest_at=NOW, devices=(device,)), 1))
    assert county.rows(
        "select received_at, version, outbox, oldest_at, config_version, battery_lowest "
        "from gateway_status"
    ) == [(NOW + timedelta(minutes=1), "2", 0, NOW, None, 15)]
    kinds = [kind for (kind,) in county.rows("select kind from gateway_event order by event_id")]
    assert kinds == ["first_heard", "state", "version", "config", "battery_low", "version"]


def test_several_words_of_one_gateway_at_once_are_taken_in_their_order(county: County) -> None:
    lost = status(GatewayState.LOST)
    store(county, said(status(outbox=1)), said(lost, 1), said(status(outbox=2), 2), said(lost, 3))
    assert county.rows("select state, outbox, received_at from gateway_status") == [
        ("lost", 2, NOW + timedelta(minutes=2))
    ]
    states = county.rows("select detail->>'state' from gateway_event where kind = 'state'")
    assert [state for (state,) in states] == ["online", "lost", "online", "lost"]


def test_a_silent_gateway_is_found_by_when_it_was_heard(plain_county: County) -> None:
    present = datetime.now(UTC)
    store(plain_county, said(status(), -16, since=present))
    silent = "select count(*) from gateway_status where received_at < now() - interval '15 minutes'"
    assert plain_county.one(silent) == 1
    store(plain_county, said(status(GatewayState.LOST), -1, since=present))
    assert plain_county.one(silent) == 1
    store(plain_county, said(status(), since=present))
    assert plain_county.one(silent) == 0


def test_history_is_bounded(plain_county: County, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet, "HISTORY_MAX", 10)
    for number in range(20):
        store(plain_county, said(status(version=str(number)), number))
    versions = plain_county.rows("select detail->>'to' from gateway_event order by event_id")
    assert [version for (version,) in versions] == [str(number) for number in range(10, 20)]


def test_a_stranger_fills_one_row_of_quarantine(plain_county: County) -> None:
    stranger = GatewayStatus(v=1, gateway="g-stranger", state=GatewayState.ONLINE)
    plain_county.connection.execute(
        "insert into gateway (gateway_id, retired_at) values ('g-retired', now())"
    )
    retired = GatewayStatus(v=1, gateway="g-retired", state=GatewayState.ONLINE)
    for minutes in range(5):
        assert store(plain_county, said(stranger, minutes), said(retired, minutes)) == []
    assert plain_county.rows(
        "select gateway_id, reason, repeats from quarantine order by gateway_id"
    ) == [("g-retired", "unknown_gateway", 4), ("g-stranger", "unknown_gateway", 4)]
    assert plain_county.count("gateway_status") == 0


def test_an_unreadable_status_is_kept_once_and_counted(plain_county: County) -> None:
    name = topic(GATEWAY, TopicKind.STATUS)
    for number in range(3):
        bad = read(name, b'{"v":1,%d' % number, NOW, is_retained=False)
        assert isinstance(bad, Refused)
        store(plain_county, said(status(), number), bad=[bad])
    assert plain_county.rows("select reason, repeats, content from quarantine") == [
        ("malformed_message", 2, b'{"v":1,0')
    ]


def test_how_a_pairing_stands_is_followed_until_it_has_ended(plain_county: County) -> None:
    plain_county.connection.execute(
        "insert into pairing_request (request_id, gateway_id, expires_at, passkey) "
        "values ('p1', %s, now() + interval '10 minutes', 4711)",
        [GATEWAY],
    )

    def tell(step: PairingStep, **more: Any) -> tuple[Any, ...]:
        pairing = PairingStatus(request_id="p1", step=step, **more)
        store(plain_county, said(status(pairing=pairing)))
        columns = "step, device_id, problem, passkey, ended_at is not null"
        return plain_county.rows(f"select {columns} from pairing_request")[0]

    assert tell(PairingStep.SEARCHING) == ("searching", None, "", 4711, False)
    assert tell(PairingStep.MEASURE, device_id=CUFF) == ("measure", CUFF, "", 4711, False)
    done = tell(PairingStep.DONE)
    assert done == ("done", CUFF, "", None, True)
    assert tell(PairingStep.SEARCHING) == done


def test_another_gateways_pairing_is_not_touched(plain_county: County) -> None:
    plain_county.connection.execute("insert into gateway (gateway_id) values ('g-other')")
    plain_county.connection.execute(
        "insert into pairing_request (request_id, gateway_id, expires_at) "
        "values ('p1', 'g-other', now() + interval '10 minutes')"
    )
    pairing = PairingStatus(request_id="p1", step=PairingStep.DONE)
    store(plain_county, said(status(pairing=pairing)))
    assert plain_county.one("select step from pairing_request") is None


def test_what_was_stored_by_a_version_that_allowed_more_is_no_hindrance(
    plain_county: County,
) -> None:
    store(plain_county, said(status(version="1")))
    plain_county.connection.execute("update gateway_status set body = '{\"v\": 1}'")
    store(plain_county, said(status(version="1", conditions=(Condition(code="radio_lost"),)), 1))
    assert plain_county.one("select body->'conditions'->0->>'code' from gateway_status") == (
        "radio_lost"
    )
