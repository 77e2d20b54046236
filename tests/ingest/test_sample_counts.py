"""What counts for rules: the same here as in the database, for every combination of doubts."""

import numpy as np
import psycopg

from ingest.plausibility import VALUE_DOUBTS, Suspicion, counts
from ingest.schema.migrate import migrate


def test_what_counts_is_what_the_database_says(plain_database: str) -> None:
    every = np.arange(2 * Suspicion.SUPERSEDED, dtype=np.int32)
    migrate(plain_database)
    with psycopg.connect(plain_database) as connection:
        rows = connection.execute(
            "select sample_counts(bits) from unnest(%s::integer[]) bits", (every.tolist(),)
        ).fetchall()
    assert counts(every).tolist() == [counted for (counted,) in rows]


def test_the_doubts_that_keep_a_value_out() -> None:
    """Every doubt but that of the clock; a person's word is no doubt."""
    words = Suspicion.CLOCK_OFF | Suspicion.CONFIRMED | Suspicion.SUPERSEDED
    doubts = [one for one in Suspicion if not one & words]
    assert sum(doubts) == VALUE_DOUBTS == 503
    for doubt in doubts:
        bits = np.array(
            [doubt, doubt | Suspicion.CONFIRMED, doubt | words, Suspicion.SUPERSEDED], np.int32
        )
        assert counts(bits).tolist() == [False, True, False, False]
    assert counts(np.array([0, Suspicion.CLOCK_OFF, Suspicion.CONFIRMED])).all()


def test_the_bits_are_those_that_stand_in_the_database() -> None:
    names = (
        *("BEYOND_SOFT_BOUND", "PULSE_PRESSURE", "MEAN_NOT_BETWEEN", "CLOCK_OFF", "FREQUENT"),
        *("WEIGHT_OFF_MEDIAN", "CUFF_LOOSE", "BODY_MOVEMENT", "IMPROPER_POSITION"),
        *("CONFIRMED", "SUPERSEDED"),
    )
    assert [(one.name, one.value) for one in Suspicion] == [
        (name, 1 << place) for place, name in enumerate(names)
    ]
