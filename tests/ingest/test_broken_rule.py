"""A rule that nobody can understand, put into the table by hand: it spoils nothing beside it."""

import pytest
from psycopg.types.json import Jsonb

from ingest.rules.catalogue import columns
from tests.ingest.county import County, pressure
from tests.ingest.plans import agree, alerts


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
