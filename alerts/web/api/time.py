"""Times of the API: always aware, always written in UTC."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime


def _in_utc(at: datetime) -> datetime:
    try:
        return at.astimezone(UTC)
    except OverflowError:  # the first or last day of the calendar, in another zone
        problem = "no time that there is in UTC"
        raise ValueError(problem) from None


Utc = Annotated[AwareDatetime, AfterValidator(_in_utc)]
