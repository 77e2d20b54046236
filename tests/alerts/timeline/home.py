"""What is expected of a home, and whether its gateway is heard."""

from datetime import datetime

from psycopg.types.json import Jsonb

from devices.quantity import Quantity
from ingest.rules.model import Missing
from tests.alerts.timeline.story import Story
from tests.alerts.world import GATEWAY

DAILY = Missing(quantity=Quantity.SYSTOLIC, interval_h=24)  # grace 12 h, then 12 h and 12 h


def expects_daily(story: Story) -> None:
    """Let Märta's plan expect a blood pressure a day, from now on."""
    version = story.world.one(
        "insert into plan_version (patient_id, in_force_from) values (%s, %s) "
        "returning plan_version_id",
        story.world.patient("marta"),
        story.now,
    )
    story.world.connection.execute(
        "insert into plan_rule (plan_version_id, rule_key, kind, level, spec) "
        "values (%s, %s, %s, 1, %s)",
        (version, DAILY.key, DAILY.kind, Jsonb(DAILY.params())),
    )


def heard(story: Story, at: datetime | None = None, gateway_id: str = GATEWAY) -> None:
    """Let Märta's gateway, or one that stands nowhere, be heard at this moment."""
    if gateway_id == GATEWAY:
        story.world.connection.execute(
            "insert into gateway_home (gateway_id, patient_id, from_at) values (%s, %s, %s) "
            "on conflict do nothing",
            (GATEWAY, story.world.patient("marta"), story.now),
        )
    story.world.connection.execute(
        "insert into gateway (gateway_id) values (%s) on conflict do nothing", (gateway_id,)
    )
    story.world.connection.execute(
        "insert into gateway_status (gateway_id, received_at, said_at, state, state_at) "
        "values (%(id)s, %(at)s, %(at)s, 'online', %(at)s) on conflict (gateway_id) "
        "do update set received_at = excluded.received_at",
        {"id": gateway_id, "at": at or story.now},
    )
