"""What goes wrong is told to who reads, and tells the log nothing of anybody."""

import pytest
import structlog

from ingest import log
from ingest.settings import LogSettings
from tests.alerts.conftest import Login
from tests.alerts.world import GATEWAY, World


async def test_a_failure_of_ours_tells_the_log_no_row(
    world: World, browse: Login, capsys: pytest.CaptureFixture[str]
) -> None:
    name, number = "Provia Provsson", "189001019802"
    world.connection.execute("alter table message add column number text default '189001019802'")
    world.connection.execute("alter table message add check (text <> 'Provia Provsson')")
    log.set_up(LogSettings(format="json"))
    try:
        async with browse("marta") as client:
            answer = await client.submit("/me/meddelanden", text=name)
    finally:
        structlog.reset_defaults()
    said = capsys.readouterr().err
    assert answer.status_code == 500
    assert "CheckViolation" in said
    assert name not in said
    assert number not in said


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/teknik?sok=%00", None),
        (f"/teknik/{GATEWAY}/retur", {"device": "\0"}),
    ],
)
async def test_what_the_database_cannot_hold_is_a_mistake_in_the_form(
    browse: Login, path: str, fields: dict[str, str] | None
) -> None:
    async with browse("tove") as client:
        answer = await (client.get(path) if fields is None else client.submit(path, **fields))
    assert answer.status_code == 422
    assert "Något saknas i formuläret" in answer.text
