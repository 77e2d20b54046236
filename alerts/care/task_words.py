"""What a task says: why, in a sentence or two, and what to do. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from alerts.words import Language, number, when

_PHONE: Final = {
    Language.SWEDISH: (
        "{failures} mätningar i rad med {device} har misslyckats, senast {when}. "
        "Ring och hör hur det går. Be om en ny mätning medan ni talas vid."
    ),
    Language.ENGLISH: (
        "{failures} measurements in a row with {device} have failed, the last {when}. "
        "Phone and hear how it goes. Ask for a new measurement while you speak."
    ),
}
_ANY_DEVICE: Final = {Language.SWEDISH: "mätaren", Language.ENGLISH: "the device"}
_CUFF: Final = {
    Language.SWEDISH: "blodtrycksmätaren",
    Language.ENGLISH: "the blood pressure monitor",
}
_SCALE: Final = {Language.SWEDISH: "vågen", Language.ENGLISH: "the scale"}
_DEVICES: Final = {"2a35": _CUFF, "2a36": _CUFF, "2a9d": _SCALE}

_WEIGHED: Final = {
    Language.SWEDISH: "Vågen visade {kg} kg {when}{usual}.",
    Language.ENGLISH: "The scale showed {kg} kg {when}{usual}.",
}
_USUAL: Final = {
    Language.SWEDISH: ", men {name} brukar väga omkring {usual} kg",
    Language.ENGLISH: ", but {name} usually weighs about {usual} kg",
}
_MORE: Final = {
    Language.SWEDISH: " Det finns {more} vägning till att fråga om.",
    Language.ENGLISH: " There is {more} more to ask about.",
}
_MORE_THAN_ONE: Final = {
    Language.SWEDISH: " Det finns {more} vägningar till att fråga om.",
    Language.ENGLISH: " There are {more} more to ask about.",
}
_DENIED: Final = {
    Language.SWEDISH: " {name} säger att det var någon annan.",
    Language.ENGLISH: " {name} says that it was somebody else.",
}
_ASK: Final = {
    Language.SWEDISH: " Fråga i dag vem som stod på vågen. Värdet räknas inte förrän någon svarar.",
    Language.ENGLISH: " Ask today who stood on the scale. The value does not count before that.",
}
_WEIGH_AGAIN: Final = {
    Language.SWEDISH: (
        "Någon vägde sig {when} på en våg där {name} bor. Det kan ha varit {name}. Värdet räknas "
        "inte för någon. Ring och be {name} väga sig igen."
    ),
    Language.ENGLISH: (
        "Somebody stood on a scale {when} where {name} lives. It may have been {name}. The value "
        "counts for nobody. Phone and ask {name} to use the scale again."
    ),
}
_PROPOSED: Final = {
    Language.SWEDISH: (
        "{name} har inte svarat på den plan som föreslogs {when}. Den gamla planen gäller. "
        "Ring och gå igenom den nya, eller ta tillbaka förslaget."
    ),
    Language.ENGLISH: (
        "{name} has not answered the plan that was proposed {when}. The old plan is in force. "
        "Phone and go through the new one, or take the proposal back."
    ),
}
UNKNOWN: Final = {
    Language.SWEDISH: "Något behöver göras. Öppna patienten.",
    Language.ENGLISH: "Something is to be done. Open the patient.",
}


def about_measuring(
    detail: Mapping[str, Any], now: datetime, language: Language = Language.SWEDISH
) -> str:
    """Return that measuring has failed, and that somebody should phone."""
    device = _DEVICES.get(str(detail.get("source", "")), _ANY_DEVICE)[language]
    return _PHONE[language].format(
        failures=int(detail.get("failures", 0)),
        device=device,
        when=when(datetime.fromisoformat(detail["last_at"]), now, language),
    )


def whose_reading(
    detail: Mapping[str, Any], name: str, now: datetime, language: Language = Language.SWEDISH
) -> str:
    """Return that a weight may be somebody else's than *name*'s, and what to ask."""
    newest, *others = detail["readings"]
    usual = ""
    if newest["usual_kg"] is not None:
        weighs = number(newest["usual_kg"], 0, language)
        usual = _USUAL[language].format(name=name, usual=weighs)
    said = _WEIGHED[language].format(
        kg=number(newest["kg"], 1, language),
        when=when(datetime.fromisoformat(newest["at"]), now, language),
        usual=usual,
    )
    if newest["denied"]:
        said += _DENIED[language].format(name=name)
    if others:
        more = _MORE if len(others) == 1 else _MORE_THAN_ONE
        said += more[language].format(more=len(others))
    return said + _ASK[language]


def weigh_again(
    detail: Mapping[str, Any], name: str, now: datetime, language: Language = Language.SWEDISH
) -> str:
    """Return that a weight that counts for nobody may have been that of *name*, and what to do."""
    at = datetime.fromisoformat(detail["at"])
    return _WEIGH_AGAIN[language].format(name=name, when=when(at, now, language))


def plan_unanswered(
    detail: Mapping[str, Any], name: str, now: datetime, language: Language = Language.SWEDISH
) -> str:
    """Return that *name* has not answered a proposed plan, and what to do."""
    proposed_at = datetime.fromisoformat(detail["proposed_at"])
    return _PROPOSED[language].format(name=name, when=when(proposed_at, now, language))
