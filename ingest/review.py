"""Review: a person's word on a stored reading: it is right, it is wrong, or it was another value.

Nothing is overwritten: a rejected or corrected reading keeps its row and its values, marked, and a
correction is a reading of its own. What follows for rules is found by ``rejudge``, soon after.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import psycopg

from devices.quantity import Quantity


class ReviewError(ValueError):
    """The reading cannot be reviewed so: it is not there, replaced already, or no such value."""


async def confirm(
    connection: psycopg.AsyncConnection[Any],
    reading_id: UUID,
    *,
    staff_id: int | None = None,
    why: str = "",
) -> None:
    """Let a doubted reading count; raises ReviewError."""
    raise NotImplementedError


async def reject(
    connection: psycopg.AsyncConnection[Any],
    reading_id: UUID,
    *,
    staff_id: int | None = None,
    why: str = "",
) -> None:
    """Let a reading count no more; raises ReviewError."""
    raise NotImplementedError


async def correct(
    connection: psycopg.AsyncConnection[Any],
    reading_id: UUID,
    values: Mapping[Quantity, float],
    *,
    staff_id: int | None = None,
    why: str = "",
) -> UUID:
    """Replace a reading by one with *values*, measured at the same time; return the new one's id.

    Raises:
        ReviewError: Also for a value beyond a hard bound.
    """
    raise NotImplementedError
