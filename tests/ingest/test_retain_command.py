"""What ``retain`` does when it is asked, and says where it does nothing."""

from pathlib import Path

import pytest

from ingest.commands import retain
from tests.ingest.county import County
from tests.ingest.looking_back import Row, noon, put


@pytest.fixture
def config(plain_county: County, tmp_path: Path) -> Path:
    path = tmp_path / "ingest.toml"
    path.write_text(f'[database]\ndsn = "{plain_county.dsn}"\n[broker]\nhost = "127.0.0.1"\n')
    return path


def test_retention_that_is_asked_for_does_not_rest(
    plain_county: County, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The sweep of the night was an hour ago; and what must stay for now is said."""
    retain.retain_command(config=config)
    put(plain_county, Row(plain_county.patient_id, noon(4000), 120.0))
    retain.retain_command(config=config)
    assert "1 reading older than 3,653 days removed\n" in capsys.readouterr().out
    put(plain_county, Row(plain_county.patient_id, noon(4000), 120.0))
    plain_county.connection.execute("update sample_day_state set live_from = '2000-01-01'")
    retain.retain_command(config=config)
    assert capsys.readouterr().out.startswith(
        "0 readings older than 3,653 days removed; 1 stay for now"
    )


def test_retention_by_a_job_of_the_database_is_said(
    plain_county: County, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(plain_county, Row(plain_county.patient_id, noon(4000), 120.0))
    plain_county.connection.execute("update retention_state set by_job = true")
    retain.retain_command(config=config)
    told = "the database's own job removes what is older than 3,653 days\n"
    assert capsys.readouterr().out == told
    assert plain_county.count("reading") == 1
    assert plain_county.one("select keep_days from retention_state") == 3653
