"""Who is logged in."""

import enum

from pydantic import BaseModel, Field

from alerts.web.api.example import answers
from alerts.web.session import Method


class Kind(enum.StrEnum):
    """As what somebody is logged in."""

    STAFF = "staff"
    TECHNICIAN = "technician"
    PATIENT = "patient"
    RELATIVE = "relative"


class Me(BaseModel):
    """Who is logged in."""

    model_config = answers(
        kind="staff",
        name="Anna Provberg",
        role="distriktssköterska",
        unit_name="Provbyns hemsjukvård",
        staff_id=1,
        unit_id=1,
        patient_id=None,
        relative_id=None,
        method="provider",
        assurance="http://id.elegnamnden.se/loa/1.0/loa3",
        csrf_token="3mY0dZ0c8b1Jx0J3r0Z0zq8yJb0Vd0o5b2bq0c9sVxk",  # noqa: S106 - an example
    )

    kind: Kind
    name: str
    role: str = Field(description='A staff member\'s; "" for others.')
    unit_name: str
    staff_id: int | None
    unit_id: int | None
    patient_id: int | None
    relative_id: int | None
    method: Method = Field(description="How she proved who she is.")
    assurance: str = Field(description='The identity provider\'s level; "" for a password.')
    csrf_token: str = Field(description="Goes into the header `X-CSRF-Token` of every POST.")
