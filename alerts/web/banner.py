"""What every page says while a part of the chain is silent: what, since when, what to do now."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Final

from alerts.care.people import Viewer
from alerts.pulse import Part, Silence
from alerts.words import when

_CARE: Final[Mapping[Part, str]] = MappingProxyType(
    {
        Part.INGEST: "Inga nya mätvärden tas emot{since}. De sparas hemma hos patienterna och"
        " kommer senare. Ring den du är orolig för.",
        Part.ROUTING: "Nya larm kommer inte till arbetslistan{since}. Titta på värdena hos dem du"
        " är orolig för.",
        Part.COURSE: "Ingen får meddelanden om larm{since}. Håll arbetslistan öppen.",
        Part.SENDING: "Inga meddelanden om larm skickas{since}. Håll arbetslistan öppen.",
        Part.REMINDERS: "Ingen påminns om mätningar som saknas{since}. Ring den du väntar på ett"
        " mätvärde från.",
        Part.TODO: "Nya uppgifter kommer inte till arbetslistan{since}. En vikt som kan vara någon"
        " annans räknas inte förrän någon har frågat. Titta på vikten hos dem du är orolig för.",
        Part.WAY: "Kontrollmätningen som görs var femte minut kommer inte fram{since}. Larm kan"
        " dröja. Ring den du är orolig för.",
        Part.TECHNICIANS: "Ett allvarligt tekniskt fel har inte nått någon tekniker{since}. Värden"
        " eller larm kan saknas. Ring tekniken, och den du är orolig för.",
    }
)
_TECHNICIAN: Final[Mapping[Part, str]] = MappingProxyType(
    {
        Part.INGEST: "Ingest är tyst{since}. Titta på processen och databasen.",
        Part.ROUTING: "Larm fördelas inte{since}. Titta på processen alerts.",
        Part.COURSE: "Larm trappas inte upp{since}. Titta på processen alerts.",
        Part.SENDING: "Inga meddelanden skickas{since}. Titta på processen alerts.",
        Part.REMINDERS: "Patienter påminns inte{since}. Titta på processen alerts.",
        Part.TECHNICAL: "Dosor och mätare bevakas inte{since}. Titta på processen alerts.",
        Part.TODO: "Nya uppgifter till vården hittas inte{since}. Titta på processen alerts.",
        Part.WAY: "Kontrollmätningen kommer inte fram{since}. Börja med mäklaren och ingest.",
        Part.TECHNICIANS: "Ett allvarligt fel har inte nått någon tekniker{since}. Ta det på sidan"
        " Teknik. Lägg sedan in kanal och jour.",
    }
)
_PATIENT: Final = (
    "Just nu kommer mätvärden inte fram till vården. De sparas i dosan hemma och skickas senare."
    " Mår du sämre? Ring 1177. Vid fara för livet: ring 112."
)
_REACHES_HER: Final = frozenset({Part.INGEST, Part.ROUTING, Part.WAY})


def told(
    silences: Sequence[Silence], viewer: Viewer | None, now: datetime, *, is_demo: bool = False
) -> list[str]:
    """Return the sentences for *viewer*; none: nobody is logged in, and care is meant.

    In a demo messages go nowhere, and that no technician hears of them is no fault.
    """
    if is_demo:
        silences = [one for one in silences if one.part is not Part.TECHNICIANS]
    if viewer is not None and viewer.staff_id is None:
        return [_PATIENT] if any(one.part in _REACHES_HER for one in silences) else []
    texts = _TECHNICIAN if viewer is not None and viewer.is_technician else _CARE
    return [
        texts[one.part].format(since=f" sedan {when(one.since, now)}")
        for one in silences
        if one.part in texts
    ]
