"""Words for who is away, stands in, coordinates, is on duty or in a team, straight into tables."""

from datetime import datetime, timedelta

from tests.alerts.world import World

HOUR = timedelta(hours=1)


def usual_hours(world: World) -> None:
    """Let units work weekdays 8 to 16, which is what no row says."""
    world.connection.execute("delete from unit_hours")


def away(world: World, who: str, from_at: datetime, until_at: datetime) -> None:
    world.connection.execute(
        "insert into absence (staff_id, from_at, until_at) values (%s, %s, %s)",
        (world.staff(who), from_at, until_at),
    )


def stands_in(
    world: World, who: str, *, colleague: str | None = None, patient: str | None = None
) -> None:
    world.connection.execute(
        "insert into substitute (staff_id, for_staff_id, patient_id, place, from_at) "
        "values (%s, %s, %s, 1, '2020-01-01')",
        (
            world.staff(who),
            None if colleague is None else world.staff(colleague),
            None if patient is None else world.patient(patient),
        ),
    )


def coordinates(world: World, who: str) -> None:
    """Let her coordinate her unit, beside what she does else."""
    world.connection.execute(
        "insert into staff_function (staff_id, name, from_at) values (%s, 'coordinator', now())",
        [world.staff(who)],
    )


def on_duty(world: World, who: str, from_at: datetime, until_at: datetime, unit: str) -> None:
    """Put *who* on duty for the unit of *unit*'s."""
    world.connection.execute(
        "insert into duty (unit_id, staff_id, from_at, until_at) "
        "select unit_id, %s, %s, %s from staff where staff_id = %s",
        (world.staff(who), from_at, until_at, world.staff(unit)),
    )


def team(world: World, unit: str, *members: str) -> int:
    """Make a team at the unit of *unit*'s; return its number."""
    team_id = int(
        world.one(
            "insert into team (unit_id, name) select unit_id, 'Team Prov' from staff "
            "where staff_id = %s returning team_id",
            world.staff(unit),
        )
    )
    for member in members:
        world.connection.execute(
            "insert into team_member (team_id, staff_id, from_at) values (%s, %s, '2020-01-01')",
            (team_id, world.staff(member)),
        )
    return team_id


def contact(world: World, patient: str, who: str | None = None, team_id: int | None = None) -> None:
    """End the contact there is and name another, if any, from now on."""
    patient_id = world.patient(patient)
    world.connection.execute(
        "update care_contact set until_at = now() where patient_id = %s and until_at is null",
        [patient_id],
    )
    if who is not None or team_id is not None:
        world.connection.execute(
            "insert into care_contact (patient_id, staff_id, team_id, from_at) "
            "values (%s, %s, %s, now())",
            (patient_id, None if who is None else world.staff(who), team_id),
        )


def told(world: World, alert_id: int, who: str | None = None, unit: str | None = None) -> None:
    """Note that somebody, or the unit of *unit*'s, was told of an alert."""
    world.connection.execute(
        "insert into notification (alert_id, began_at, step, staff_id, unit_id, why, level) "
        "values (%s, now(), 0, %s, (select unit_id from staff where staff_id = %s), 'opened', 2)",
        (
            alert_id,
            None if who is None else world.staff(who),
            None if unit is None else world.staff(unit),
        ),
    )
