"""Two workers may collide at a key that neither could foresee: then the later one tries again."""

import pytest

from ingest.quarantine import Reason
from tests.ingest.county import County, pressure


def _collide(county: County, times: int) -> None:
    """Let the first *times* of storing a reading violate a key; a sequence is not rolled back."""
    county.connection.execute("create sequence collisions")
    county.connection.execute(
        "create function collide() returns trigger language plpgsql as $$ begin"
        f" if nextval('collisions') <= {times} then"
        " raise unique_violation using message = 'another was first'; end if;"
        " return new; end $$"
    )
    county.connection.execute(
        "create trigger collide before insert on reading for each row execute function collide()"
    )


@pytest.mark.parametrize(("times", "reason"), [(1, 0), (2, Reason.REFUSED_BY_DATABASE.code)])
def test_a_reading_alone_is_refused_only_if_it_collides_again(
    plain_county: County, times: int, reason: int
) -> None:
    _collide(plain_county, times)
    settled = plain_county.settle([pressure(192, 112)])
    assert settled.reason.tolist() == [reason]
    assert plain_county.count("reading") == (0 if reason else 1)
    assert plain_county.count("quarantine") == (1 if reason else 0)
