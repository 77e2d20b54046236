"""The care record file's page names every field there is, and no other."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from alerts.care.record import CareRecord, Loan, Patient, Plan
from alerts.care.roster import Channel, Day, Duty, Huvudman, Opening, Staff, Team, Unit

PAGE = (Path(__file__).parents[3] / "docs" / "care-record.md").read_text()


def section(name: str) -> str:
    found = re.search(rf"^## {name}$(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None, name
    return found[1]


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("huvudmen", Huvudman),
        ("units", Unit),
        ("staff", Staff),
        ("teams", Team),
        ("patients", Patient),
    ],
)
def test_a_table_has_a_row_for_every_field(name: str, part: type[BaseModel]) -> None:
    cells = re.findall(r"^\| (`[^|]*) \|", section(name), re.MULTILINE)
    told = [field for cell in cells for field in re.findall(r"`(\w+)`", cell)]
    assert sorted(told) == sorted(part.model_fields)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("units", Opening),
        ("units", Day),
        ("units", Channel),
        ("units", Duty),
        ("patients", Loan),
        ("patients", Plan),
    ],
)
def test_fields_of_the_smaller_parts_are_told_with_them(name: str, part: type[BaseModel]) -> None:
    for field in part.model_fields:
        assert f"`{field}`" in section(name), field


def test_every_list_has_its_section() -> None:
    assert re.findall(r"^## (\w+)$", PAGE, re.MULTILINE) == list(CareRecord.model_fields)
