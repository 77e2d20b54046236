"""Numbers for follow-up, of one's own huvudman: for coordinators. Never of fewer than five."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from psycopg import AsyncConnection
from psycopg.rows import scalar_row
from pydantic import BaseModel, Field

from alerts.indicators.cell import Cell, Indicator
from alerts.indicators.export import NAMES, as_csv
from alerts.indicators.queries import Period, indicators
from alerts.sending.store import now
from alerts.web.api.document import refusals
from alerts.web.api.example import AT, LATER, answers
from alerts.web.api.office import Coordinator, own_unit
from alerts.web.api.problem import Refused, Words
from alerts.web.api.time import Utc
from alerts.web.services import Services, ServicesOf
from alerts.web.session import Session
from alerts.words import ZONE

router = APIRouter(tags=["follow-up"])

# Who asks for two periods that differ by a day learns of that day: four weeks tell of few alone.
DAYS_MIN: Final = 28
DAYS_MAX: Final = 366
_PERIOD: Final = Words(
    "period-unfit",
    "Den tiden kan inte räknas",
    f"Välj minst {DAYS_MIN} och högst {DAYS_MAX} dagar som har varit.",
)
_CELL: Final = {
    "indicator": "acknowledged_median",
    "name": "Från mätt till taget larm, median",
    "measure": "minuter",
    "huvudman_name": "Provregionen",
    "unit_name": "Provbyns hemsjukvård",
    "group": "",
    "value": 12.5,
    "people_count": 31,
    "is_hidden": False,
}


class IndicatorCell(BaseModel):
    """One number."""

    model_config = answers(**_CELL)

    indicator: Indicator
    name: str = Field(description="In Swedish.")
    measure: str = Field(description="Of the value; `procent` goes from 0 to 1.")
    huvudman_name: str
    unit_name: str = Field(description='"": of the whole huvudman.')
    group: str = Field(description="Of a spread: an age or a municipality.")
    value: float | None = Field(description="Null: there is nothing to say, or it is hidden.")
    people_count: int | None = Field(description="On how many people it rests; null: hidden.")
    is_hidden: bool = Field(description="It could point at somebody.")


class Indicators(BaseModel):
    """The numbers of a period."""

    model_config = answers(from_at=AT, until_at=LATER, cells=[_CELL])

    from_at: Utc
    until_at: Utc
    cells: list[IndicatorCell]


class _Csv(Response):
    media_type = "text/csv"


async def _period(
    from_day: Annotated[
        date | None,
        Query(
            description="Four weeks before the end, if it is not given.", examples=["2026-09-07"]
        ),
    ] = None,
    until_day: Annotated[
        date | None,
        Query(
            description="The day after the last; today, if it is not given.",
            examples=["2026-10-05"],
        ),
    ] = None,
) -> Period:
    today = datetime.now(UTC).astimezone(ZONE).date()
    until = min(until_day or today, today)
    try:
        first = from_day or until - timedelta(days=DAYS_MIN)
    except OverflowError:
        raise Refused(422, _PERIOD) from None
    if not DAYS_MIN <= (until - first).days <= DAYS_MAX:
        raise Refused(422, _PERIOD)
    return Period(_midnight(first), _midnight(until))


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), ZONE)


Asked = Annotated[Period, Depends(_period)]


@router.get("/indicators", operation_id="getIndicators", summary="Follow-up", responses=refusals())
async def as_json(services: Services, found: Coordinator, period: Asked) -> Indicators:
    """Return the numbers of one's own huvudman, or of one's unit if it has none."""
    return Indicators(
        from_at=period.from_at,
        until_at=period.until_at,
        cells=[_shown(cell) for cell in await _cells(services, found, period)],
    )


@router.get(
    "/indicators.csv",
    operation_id="getIndicatorsTable",
    summary="Follow-up, for a spreadsheet",
    response_class=_Csv,
    responses=refusals(),
)
async def as_table(services: Services, found: Coordinator, period: Asked) -> Response:
    """Return the same as a table: Swedish words, semicolons, UTF-8 with a mark."""
    cells = await _cells(services, found, period)
    name = f"indikatorer-{period.from_at:%Y-%m-%d}.csv"
    return _Csv(
        as_csv(cells, period.from_at, period.until_at),
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


async def _cells(services: ServicesOf, found: Session, period: Period) -> list[Cell]:
    """Return what is hers to see; what is hidden is decided by the numbers of all."""
    unit_id = own_unit(found, found.viewer.unit_id)
    async with services.pool.connection() as connection:
        huvudman = await _huvudman(connection, unit_id)
        cells = await indicators(connection, period, await now(connection))
    if huvudman:
        return [cell for cell in cells if cell.huvudman == huvudman]
    return [cell for cell in cells if cell.unit == found.viewer.unit_name]


async def _huvudman(connection: AsyncConnection, unit_id: int) -> str:
    cursor = connection.cursor(row_factory=scalar_row)
    await cursor.execute(
        "select coalesce(h.name, '') from unit u left join huvudman h using (huvudman_id) "
        "where u.unit_id = %s",
        (unit_id,),
    )
    return str(await cursor.fetchone() or "")


def _shown(cell: Cell) -> IndicatorCell:
    name, measure = NAMES[cell.indicator]
    return IndicatorCell(
        indicator=cell.indicator,
        name=name,
        measure=measure,
        huvudman_name=cell.huvudman,
        unit_name=cell.unit,
        group=cell.group,
        value=cell.value,
        people_count=None if cell.is_hidden else cell.people,
        is_hidden=cell.is_hidden,
    )
