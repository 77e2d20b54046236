"""A rule that nobody can understand, put into the table by hand: it spoils nothing beside it."""

import asyncio

import pytest
from psycopg.types.json import Jsonb

from devices.reading import Reading
from ingest.rules.catalogue import columns
from ingest.settle import Settler
from tests.ingest.county import NOW, County, batch_of, pressure
from tests.ingest.plans import HOUR, agree, alerts


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("repeat", {"quantity": "systolic", "ask_min": 5}),
        ("k_of_n", {"quantity": "systolic", "n": 5, "high": 160.0, "days": 30}),
    ],
)
def test_a_rule_without_a_parameter_leaves_readings_and_limits_alone(
    plain_county: County, kind: str, spec: dict[str, object]
) -> None:
    with pytest.raises(ValueError, match=f"{kind}: no "):
        columns(kind, spec)
    version = agree(plain_county)
    plain_county.connection.execute(
        "insert into plan_rule (plan_version_id, rule_key, kind, level, spec)"
        " values (%s, %s, %s, 2, %s)",
        [version, f"{kind}:systolic", kind, Jsonb(spec)],
    )
    assert plain_county.settle([pressure(192, 112)]).reason.tolist() == [0]
    assert alerts(plain_county) == [("limit:blood_pressure", 2, "open", False)]


def test_it_is_an_incident_until_it_stands_in_no_plan(plain_county: County) -> None:
    still_open = "select detail from incident where kind = 'rule' and closed_at is null"
    version = agree(plain_county)
    plain_county.connection.execute(
        "insert into plan_rule (plan_version_id, rule_key, kind, level, spec)"
        " values (%s, 'change:body_weight', 'change', 1, '{}')",
        [version],
    )
    first, second, third = (pressure(120, 80, measured_at=NOW - n * HOUR) for n in range(3))
    plain_county.settle([first])
    ((detail,),) = plain_county.rows(still_open)
    assert "1 rules" in detail
    assert "(change)" in detail
    asyncio.run(_while_it_is_mended(plain_county, second, third))
    assert plain_county.rows(still_open) == []


async def _while_it_is_mended(county: County, before: Reading, after: Reading) -> None:
    """Let one worker know it, and then know better."""
    async with Settler(lambda: county.dsn, "test") as worker:
        await worker.settle(batch_of([before]), [])
        assert worker.registry.left_out == ["change"]
        county.connection.execute("delete from plan_rule where kind = 'change'")
        await worker.settle(batch_of([after]), [])
