"""A proposal as the API shows and takes it, and why something cannot be done with it."""

from datetime import date
from typing import Annotated, Final

from pydantic import BaseModel, Field, ValidationError

from alerts.care import proposal
from alerts.care.plan_spec import PlanSpec
from alerts.care.preview import Counts, Preview
from alerts.care.proposal import QUESTION_CHARS_MAX, WHY_CHARS_MAX, Answer, How, State
from alerts.web.api.entering import Number
from alerts.web.api.example import AT, LATER, answers, takes
from alerts.web.api.models import LEVELS, LevelName
from alerts.web.api.plans import PLAN
from alerts.web.api.problem import Refused, Words, refusal
from alerts.web.api.time import Utc

_TEMPLATES_MAX: Final = 10
_UNCHANGED: Final = "Inget har ändrats."


def _words(status: int, slug: str, title: str, detail: str) -> tuple[int, Words]:
    return status, Words(f"proposal-{slug}", title, f"{detail} {_UNCHANGED}")


REFUSED: Final = {
    Answer.NOT_YOURS: _words(
        403,
        "not-yours",
        "Det här är någon annans att göra",
        "Vården föreslår och tar tillbaka. Patienten frågar och svarar själv, eller så noterar "
        "vården vad patienten sa.",
    ),
    Answer.OPEN_ALREADY: _words(
        409,
        "open-already",
        "Ett förslag väntar redan på svar",
        "Ta tillbaka det först, eller vänta på svaret.",
    ),
    Answer.NOT_PREVIEWED: _words(
        409,
        "not-previewed",
        "Ingen har sett vad planen skulle ge",
        "Förhandsvisa den mot patientens egna värden först.",
    ),
    Answer.NO_RELATIVE: _words(
        422,
        "no-relative",
        "Den närstående kan inte vara med",
        "Personen finns inte, eller får inte se planen. Ett nej noteras utan närstående.",
    ),
    Answer.IN_THE_PAST: _words(
        422,
        "past",
        "Dagen har redan varit",
        "En plan gäller aldrig bakåt. Välj i dag eller en dag som kommer.",
    ),
    Answer.TOO_FAR: _words(
        422, "too-far", "Dagen ligger för långt fram", "Välj en dag inom ett år."
    ),
    Answer.OUTDATED: _words(
        409,
        "outdated",
        "Förslaget är för gammalt",
        "Planen går inte längre att följa så. Ta tillbaka den och föreslå en ny.",
    ),
    Answer.NO_TEXT: _words(
        422, "text", "Texten saknas eller är för lång", "Skriv den kort och försök igen."
    ),
}
_ANSWERED: Final = {
    State.AGREED: "Planen är redan överenskommen.",
    State.DECLINED: "Patienten har redan sagt nej.",
    State.WITHDRAWN: "Förslaget är tillbakataget.",
}
_SEEN: Final = {
    "days": 90,
    "samples_count": 152,
    "proposed": {"yellow_count": 3, "red_count": 0},
    "today": {"yellow_count": 9, "red_count": 1},
    "examples": [{"at": AT, "level": "yellow", "sentence": "Blodtryck 152/90 mmHg"}],
    "sentence": "De senaste 90 dagarna hade planen gett 3 larm (planen i dag: 10 larm).",
}
_PROPOSAL: Final = {
    "proposal_id": 11,
    "patient_id": 3,
    "state": "agreed",
    "plan": PLAN,
    "why": "Ny medicin sedan i måndags.",
    "templates": ["heart_failure:2"],
    "proposed_at": AT,
    "previewed_at": AT,
    "question": "",
    "answered_at": AT,
    "answered_how": "phone",
    "relative_id": None,
    "in_force_from": LATER,
    "plan_version_id": 9,
}


class Proposal(BaseModel):
    """A plan that is proposed to a patient. It is in force for nobody until it is agreed."""

    model_config = answers(**_PROPOSAL)

    proposal_id: int
    patient_id: int
    state: State
    plan: PlanSpec | None = Field(description="Null: it is of before a rule of today.")
    why: str
    templates: list[str]
    proposed_at: Utc
    previewed_at: Utc | None = Field(description="Null: nobody has seen what it would make.")
    question: str = Field(description="What she asked, one question a line.")
    answered_at: Utc | None
    answered_how: How | None
    relative_id: int | None = Field(description="With whom it was agreed.")
    in_force_from: Utc | None
    plan_version_id: int | None


class Proposals(BaseModel):
    """A patient's proposals, the newest first."""

    model_config = answers(proposals=[_PROPOSAL], next_cursor=None)

    proposals: list[Proposal]
    next_cursor: str | None


class AlertCounts(BaseModel):
    """How many alerts there would have been."""

    yellow_count: int
    red_count: int


class AlertExample(BaseModel):
    """One alert there would have been."""

    at: Utc
    level: LevelName
    sentence: str


class PlanPreview(BaseModel):
    """What a plan would have made of what she measured."""

    model_config = answers(**_SEEN)

    days: int = Field(description="Looked at: 90, or since she began to measure.")
    samples_count: int = Field(description="0: it says nothing.")
    proposed: AlertCounts
    today: AlertCounts | None = Field(description="Null: no plan is in force to compare with.")
    examples: list[AlertExample] = Field(description="The newest of them.")
    sentence: str = Field(description="It all, in Swedish.")


class Proposing(BaseModel):
    """A plan, and why."""

    model_config = takes(
        plan=PLAN, why="Ny medicin sedan i måndags.", templates=["heart_failure:2"]
    )

    plan: PlanSpec
    why: str = Field("", max_length=WHY_CHARS_MAX)
    templates: list[Annotated[str, Field(pattern=r"^[a-z0-9_]{1,40}:[0-9]{1,6}$")]] = Field(
        default=[], max_length=_TEMPLATES_MAX, description="Key and version it came from."
    )


class Questioning(BaseModel):
    """What she wonders."""

    model_config = takes(text="Varför ska jag mäta oftare?")

    text: str = Field(min_length=1, max_length=QUESTION_CHARS_MAX)


class Agreeing(BaseModel):
    """How she said yes, and from which day it is to hold."""

    model_config = takes(how="phone", relative_id=None, from_day=None)

    how: How = Field(description="`self`: she says it here. Else who cares for her notes it.")
    relative_id: Number | None = Field(None, description="With whom, for `relative`.")
    from_day: date | None = Field(None, description="In Sweden. Null: from now.")


class DecliningPlan(BaseModel):
    """How she said no."""

    model_config = takes(how="phone")

    how: How


def shown(one: proposal.Proposal) -> Proposal:
    """Return a proposal as patient and care see it."""
    try:
        held = one.plan()
    except ValidationError:
        held = None
    return Proposal(
        proposal_id=one.proposal_id,
        patient_id=one.patient_id,
        state=State(one.state),
        plan=held,
        why=one.why,
        templates=one.templates,
        proposed_at=one.proposed_at,
        previewed_at=one.previewed_at,
        question=one.question,
        answered_at=one.answered_at,
        answered_how=None if one.answered_how is None else How(one.answered_how),
        relative_id=one.relative_id,
        in_force_from=one.in_force_from,
        plan_version_id=one.plan_version_id,
    )


def refused(found: proposal.Done) -> Exception:
    """Return why nothing was done."""
    if found.answer is Answer.ANSWERED and found.state is not None:
        told = f"{_ANSWERED[found.state]} Läs förslaget igen."
        return Refused(*_words(409, "answered", "Förslaget är besvarat", told))
    return refusal(REFUSED, found.answer)


def seen(one: Preview) -> PlanPreview:
    """Return what a plan would have made."""
    return PlanPreview(
        days=one.days,
        samples_count=one.samples,
        proposed=_counts(one.proposed),
        today=None if one.today is None else _counts(one.today),
        examples=[
            AlertExample(at=each.at, level=LEVELS[each.level], sentence=each.sentence)
            for each in one.examples
        ],
        sentence=one.sentence,
    )


def _counts(one: Counts) -> AlertCounts:
    return AlertCounts(yellow_count=one.yellow, red_count=one.red)
