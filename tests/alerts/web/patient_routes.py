"""The API of the patient's side of the care record, for everybody: rows of the route matrix.

What is written here is refused where it is allowed, so that nothing changes who may see whom.
"""

API = "/api/v1"
NONE, GONE = 404, 401
Row = tuple[int, ...]
# own, looks, closed, technician, office, herself, patient, relative, not, nobody


def hers(own: int, herself: int) -> Row:
    """Return a row of what is for her and for who cares for her, and for nobody else."""
    return (own, *(NONE,) * 4, herself, *(NONE,) * 3, GONE)


def staff(code: int) -> Row:
    return (code, code, code, *(NONE,) * 6, GONE)


SHARED: Row = (200, 200, *(NONE,) * 3, 200, NONE, 200, NONE, GONE)
NOBODYS: Row = (*(NONE,) * 9, GONE)
HERS = hers(200, 200)
_PATIENT = f"{API}/patients/{{patient_id}}"
_READING = f"{_PATIENT}/readings/{{reading_id}}"
_PROPOSAL = f"{_PATIENT}/proposals/{{proposal_id}}"

# Of hers, and what the address names is another patient's: whom one asks for is logged as if it
# were there.
NESTED: dict[tuple[str, str], Row] = {
    ("GET", f"{_PATIENT}/plan-versions/{{plan_version_id}}"): SHARED,
    ("GET", _PROPOSAL): HERS,
    ("POST", f"{_PROPOSAL}/preview"): HERS,
    ("POST", f"{_PROPOSAL}/question"): HERS,
    ("POST", f"{_PROPOSAL}/agree"): HERS,
    ("POST", f"{_PROPOSAL}/decline"): HERS,
    ("POST", f"{_PROPOSAL}/withdraw"): HERS,
    ("POST", f"{_PATIENT}/loans/{{loan_id}}/return"): HERS,
    ("POST", f"{_PATIENT}/loans/{{loan_id}}/move"): HERS,
    ("GET", f"{_PATIENT}/reading-requests/{{request_id}}"): HERS,
    # It is hers; whether it was she only she says.
    ("POST", f"{_READING}/was-it-me"): HERS,
}
MATRIX: dict[tuple[str, str], Row] = {
    **dict.fromkeys(NESTED, NOBODYS),
    ("POST", f"{_READING}/whose"): hers(409, 403),  # nobody asks
    ("POST", f"{_READING}/was-it-me"): hers(NONE, 409),
    ("POST", f"{_READING}/confirm"): hers(422, 403),  # it does not say why
    ("POST", f"{_READING}/reject"): hers(422, 403),
    ("POST", f"{_READING}/move"): hers(422, 403),
    ("GET", f"{_PATIENT}/asked-weights"): HERS,
    ("POST", f"{_PATIENT}/plan/end"): hers(422, 403),
    ("GET", f"{_PATIENT}/plan"): SHARED,
    ("GET", f"{_PATIENT}/plan-versions"): SHARED,
    ("GET", f"{_PATIENT}/proposals"): HERS,
    ("POST", f"{_PATIENT}/proposals"): hers(409, 403),  # one waits for an answer; care proposes
    ("GET", f"{API}/plan-templates"): staff(200),
    ("GET", f"{API}/plan-templates/merged"): staff(422),  # of none
    # A coordinator's who gives care; here each is one of the two.
    ("POST", f"{API}/plan-templates/{{template_key}}/approve"): NOBODYS,
    ("POST", f"{API}/plan-templates/{{template_key}}/retire"): NOBODYS,
    ("GET", f"{_PATIENT}/pauses"): HERS,
    ("POST", f"{_PATIENT}/pauses"): hers(422, 403),  # in the past; care begins it
    ("POST", f"{_PATIENT}/pauses/{{pause_id}}/end"): hers(409, 409),  # another's
    ("GET", f"{_PATIENT}/loans"): HERS,
    ("POST", f"{_PATIENT}/loans"): hers(422, 403),  # no address
    ("GET", f"{API}/handovers"): staff(200),
    ("POST", f"{API}/handovers/{{handover_id}}/accept"): NOBODYS,
    ("POST", f"{API}/handovers/{{handover_id}}/decline"): NOBODYS,
    ("GET", f"{_PATIENT}/handover"): HERS,
    ("POST", f"{_PATIENT}/handover"): hers(422, 403),  # to no unit
    ("POST", f"{_PATIENT}/handover/withdraw"): hers(409, 409),  # there is no offer
    ("GET", f"{_PATIENT}/relatives"): HERS,
    ("GET", f"{_PATIENT}/consents"): HERS,
    ("POST", f"{_PATIENT}/consents"): hers(422, 422),  # to nothing
    ("POST", f"{_PATIENT}/consents/revoke"): hers(409, 409),  # who had none
    ("GET", f"{_PATIENT}/blocks"): HERS,
    ("POST", f"{_PATIENT}/blocks"): hers(422, 422),  # no unit
    ("POST", f"{_PATIENT}/blocks/lift"): hers(409, 422),  # there is none; herself, by telephone
    ("POST", f"{API}/emergency-access"): staff(422),  # no number
}
# An alert, or a night on duty, is not enough to say what is to last.
OF_FUNCTION: dict[tuple[str, str], dict[str, int]] = {
    ("POST", f"{_PATIENT}/handover"): {"jour": 403, "mottagare": 403},
    ("POST", f"{_PATIENT}/blocks/lift"): {"jour": 403, "mottagare": 403},
}
PLAN = {"limits": [{"quantity": "systolic", "yellow_high": 150.0}]}
BODIES: dict[str, object] = {
    f"{_PATIENT}/proposals": {"plan": PLAN},
    f"{_READING}/whose": {"whose": "other", "to_patient_id": 2**40},
    f"{_READING}/was-it-me": {"was_me": True},
    f"{_READING}/confirm": {"why": " "},
    f"{_READING}/reject": {"why": " "},
    f"{_READING}/move": {"why": " ", "to_patient_id": 2**40},
    f"{_PATIENT}/plan/end": {"how": "phone", "why": " "},
    f"{_PROPOSAL}/question": {"text": "Varför?"},
    f"{_PROPOSAL}/agree": {"how": "phone"},
    f"{_PROPOSAL}/decline": {"how": "phone"},
    f"{_PATIENT}/pauses": {"until_at": "2020-01-02T00:00:00Z", "from_at": "2020-01-01T00:00:00Z"}
    | {"reason": "Resa"},
    f"{_PATIENT}/pauses/{{pause_id}}/end": {},
    f"{_PATIENT}/loans": {"address": "x"},
    f"{_PATIENT}/loans/{{loan_id}}/return": {},
    f"{_PATIENT}/loans/{{loan_id}}/move": {"to_patient_id": 1},
    f"{API}/handovers/{{handover_id}}/accept": {"staff_id": 1},
    f"{API}/handovers/{{handover_id}}/decline": {"message": "Fullt"},
    f"{_PATIENT}/handover": {"to_unit_id": 2**40},
    f"{_PATIENT}/consents": {"relative_id": 1, "scopes": [], "how": "phone"},
    f"{_PATIENT}/consents/revoke": {"relative_id": 2**40},
    f"{_PATIENT}/blocks": {"unit_id": 2**40, "how": "phone"},
    f"{_PATIENT}/blocks/lift": {"unit_id": 2**40, "how": "phone"},
    f"{API}/emergency-access": {"personal_number": "x", "why": "Hittad medvetslös"},
}
# Where the rows lie of which an address names one.
TABLES = {
    "proposal_id": "plan_proposal",
    "pause_id": "patient_pause",
    "loan_id": "device_loan",
    "plan_version_id": "plan_version",
    "handover_id": "handover",
}


def rows_of(patient_id: int | None, unit_id: int, to_unit_id: int) -> dict[str, str]:
    """Return, by what an address calls it, the values of a row of somebody else."""
    soon = "now() + interval '1 day', now() + interval '2 days'"
    return {
        "proposal_id": f"(patient_id, spec) values ({patient_id}, '{{}}')",
        "pause_id": f"(patient_id, from_at, until_at, reason)"
        f" values ({patient_id}, {soon}, 'Resa')",
        "loan_id": f"(patient_id, device_id, lent_from) values ({patient_id}, 'x', now())",
        "plan_version_id": f"(patient_id, in_force_from) values ({patient_id}, now())",
        "handover_id": (
            f"(patient_id, from_unit_id, to_unit_id) values ({patient_id}, {unit_id}, {to_unit_id})"
        ),
    }
