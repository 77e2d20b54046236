"""Times of the API: always aware, always written in UTC."""

from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import AfterValidator, AwareDatetime

_YEARS: Final = (2000, 2200)


def _in_utc(at: datetime) -> datetime:
    try:
        return at.astimezone(UTC)
    except OverflowError:  # the first or last day of the calendar, in another zone
        problem = "no time that there is in UTC"
        raise ValueError(problem) from None


def _of_our_time(at: datetime) -> datetime:
    if not _YEARS[0] <= at.year < _YEARS[1]:
        problem = f"not between the years {_YEARS[0]} and {_YEARS[1]}"
        raise ValueError(problem)
    return at


Utc = Annotated[AwareDatetime, AfterValidator(_in_utc)]
# One that is written down: what lies further off is a mistake, and some programs cannot read it.
Moment = Annotated[Utc, AfterValidator(_of_our_time)]
