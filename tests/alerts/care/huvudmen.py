"""Who answers for the units of the world: one for all of them, or one for each."""

from tests.alerts.world import World


def one_for_all(world: World) -> None:
    """Let all units be of one huvudman."""
    world.connection.execute(
        "with made as (insert into huvudman (kind, name) values ('region', 'Provregionen') "
        "returning huvudman_id) update unit set huvudman_id = made.huvudman_id from made"
    )


def one_each(world: World) -> None:
    """Let each unit be of a huvudman of its own."""
    world.connection.execute(
        "with made as (insert into huvudman (kind, name) select 'region', name from unit "
        "returning huvudman_id, name) "
        "update unit set huvudman_id = made.huvudman_id from made where made.name = unit.name"
    )
