"""Who has a patient's message or task before her: it waits for her own, and never for nobody.

Whoever has a care relation to the patient sees it. Her whole unit does when the contact is away
or works here no more, and when it has waited for more than a day: then somebody must take it.
"""

from datetime import timedelta
from typing import Any, Final

from psycopg import sql

from alerts.care.people import CONTACT, NOW, RELATION, Viewer, relation

# The next day somebody else than the contact sees it, too.
OVERDUE: Final = timedelta(hours=24)

_AWAY: Final = sql.SQL("""
exists (
    select from (values (1)) as one (one) {contact}
    where exists (select from absence a where a.staff_id = c.staff_id and a.withdrawn_at is null
                  and a.from_at <= {now} and a.until_at > {now})
       or exists (select from staff gone
                  where gone.staff_id = c.staff_id and gone.ended_at <= {now})
)
""").format(contact=CONTACT, now=NOW)


def waits_for(since: str) -> sql.Composed:
    """Return the condition that what waits since the column *since* is the viewer's to see.

    Null: nothing waits, and it is only for who has a relation to the patient.
    Names person p; its parameters are ``viewing``.
    """
    return sql.SQL(
        "({relation} or (%(staff_id)s::bigint is not null and p.unit_id = %(unit_id)s"
        " and {since} is not null"
        " and ({since} < {now} - %(overdue)s::interval or {away})))"
    ).format(relation=RELATION, since=sql.SQL(since), now=NOW, away=_AWAY)


def viewing(viewer: Viewer) -> dict[str, Any]:
    """Return the parameters of ``waits_for``."""
    return {**relation(viewer), "overdue": OVERDUE}
