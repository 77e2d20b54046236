"""Brings the table ``quantity`` in line with ``devices.quantity``, so that SQL can name things."""

from typing import Any

import psycopg

from devices.quantity import Quantity

_UPSERT = """
insert into quantity
    (quantity_id, code, panel, unit, unit_shown, loinc, decimals, name_sv, name_en)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
on conflict (quantity_id) do update set
    (code, panel, unit, unit_shown, loinc, decimals, name_sv, name_en) =
    (excluded.code, excluded.panel, excluded.unit, excluded.unit_shown, excluded.loinc,
     excluded.decimals, excluded.name_sv, excluded.name_en)
"""


def fill_quantity(connection: psycopg.Connection[Any]) -> None:
    """Insert or update one row for each quantity; rows of a newer version stay."""
    rows = [
        (
            facts.id,
            quantity.value,
            facts.panel.value,
            facts.unit,
            facts.unit_shown,
            facts.loinc,
            facts.decimals,
            facts.name_sv,
            facts.name_en,
        )
        for quantity in Quantity
        for facts in [quantity.facts]
    ]
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(_UPSERT, rows)
