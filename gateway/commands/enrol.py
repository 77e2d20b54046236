"""``gateway enrol CODE``: this box gets its identity. Said in words, for whoever stands there."""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

from devices.enrolment import BadCode, parse_code
from gateway import certificate
from gateway.certificate import IdentityDamaged
from gateway.commands.terminal import (
    BAD_CONFIGURATION,
    UNREACHABLE,
    ConfigFile,
    complain,
    step_down,
)
from gateway.config import data_dir
from gateway.enrol import Done, EnrolFailed, Failure
from gateway.enrol import enrol as ask
from gateway.settings import ConfigProblems

Language = Literal["sv", "en"]

_WORDS: Final[dict[str, tuple[str, str]]] = {
    "bad_code": (
        (
            "Det är ingen hel kod. En kod har 16 tecken, fyra och fyra, som ABCD-1234-EFGH-5678. "
            "Läs den en gång till."
        ),
        (
            "That is no whole code. A code has 16 characters in groups of four, such as "
            "ABCD-1234-EFGH-5678. Read it once more."
        ),
    ),
    "already": (
        (
            "Dosan är redan inskriven, som {gateway_id}. Lägg till --replace om den ska få en ny "
            "identitet."
        ),
        "This box is enrolled already, as {gateway_id}. Add --replace if it is to be another.",
    ),
    "done": (
        (
            "Klart. Dosan heter {gateway_id} och är inskriven till {until}. "
            "Den förnyar sig själv i god tid."
        ),
        "Done. This box is {gateway_id}, enrolled until {until}. It renews by itself in good time.",
    ),
    "replaced": (
        "Starta om dosan, så att den börjar heta så.",
        "Start this box again, so that it goes by that name.",
    ),
    "clock_off": (
        (
            "Men dosans klocka går fel: den visar {now}, {off} från serverns. Ställ klockan eller "
            "vänta tills dosan har fått tid från nätet. Innan dess kommer den inte in."
        ),
        (
            "But this box's clock is wrong: it says {now}, {off} off the server's. Set it, or wait "
            "until the network has. Until then the box is not let in."
        ),
    ),
    "not_kept": (
        "Identiteten kunde inte sparas i {where} ({detail}). Rätta det och kör kommandot igen.",
        "The identity could not be kept in {where} ({detail}). Cure that and run this again.",
    ),
    Failure.UNKNOWN: (
        "Servern känner inte igen koden. Läs den en gång till, eller be om en ny.",
        "The server does not know this code. Read it once more, or ask for a new one.",
    ),
    Failure.USED: (
        "Koden är redan använd av en annan dosa. Be om en ny kod.",
        "Another box was enrolled with this code. Ask for a new one.",
    ),
    Failure.EXPIRED: (
        "Koden är för gammal. Be om en ny kod.",
        "This code is too old. Ask for a new one.",
    ),
    Failure.REVOKED: (
        "Inskrivningen är återkallad. Be om en ny kod.",
        "This enrolment was revoked. Ask for a new code.",
    ),
    Failure.TOO_MANY: (
        "För många försök. Vänta en kvart och försök igen.",
        "Too many tries. Wait a quarter of an hour and try again.",
    ),
    Failure.NOT_HERE: (
        "Servern på {server} skriver inte in några dosor. Kontrollera adressen.",
        "The server at {server} enrols no boxes. Check the address.",
    ),
    Failure.NO_NETWORK: (
        (
            "Ingen svarar på {server} ({detail}). Kontrollera att dosan har nät och att adressen "
            "stämmer."
        ),
        "Nobody answers at {server} ({detail}). Check the box's network, and the address.",
    ),
    Failure.NO_SUCH_HOST: (
        ("Ingen server heter så: {server} ({detail}). Kontrollera adressen och att dosan har nät."),
        "No server has that name: {server} ({detail}). Check the address and the network.",
    ),
    Failure.NOT_A_SERVER: (
        "Det som svarar på {server} är inte rätt server ({detail}). Kontrollera adressen.",
        "What answers at {server} is not the right server ({detail}). Check the address.",
    ),
    Failure.WRONG_SERVER: (
        (
            "Svaret från {server} kommer inte från den som gav ut koden. Dosan tror inte på det. "
            "Kontrollera adressen, och säg till en tekniker: någon kan ha lagt sig emellan."
        ),
        (
            "The answer from {server} is not from who gave out the code. It is not believed. Check "
            "the address, and tell a technician: somebody may be in between."
        ),
    ),
    Failure.UNTRUSTED: (
        "Servern på {server} kan inte visa vem den är ({detail}). Kontrollera adressen.",
        "The server at {server} cannot prove who it is ({detail}). Check the address.",
    ),
    Failure.CLOCK_WRONG: (
        (
            "Dosans klocka visar {now}, och serverns certifikat gäller inte då ({detail}). Ställ "
            "klockan, eller vänta tills dosan har fått tid från nätet, och försök igen."
        ),
        (
            "This box's clock says {now}, when the server's certificate is not good ({detail}). "
            "Set the clock, or wait until the network has, and try again."
        ),
    ),
    Failure.SERVER_ILL: (
        (
            "Servern på {server} har problem just nu ({detail}). Försök igen om en stund. Koden är "
            "inte förbrukad."
        ),
        (
            "The server at {server} is not well just now ({detail}). Try again in a while. The "
            "code is not spent."
        ),
    ),
    Failure.BAD_ADDRESS: (
        "{server} är ingen adress till en server. Skriv den som https://egenmonitor.example.",
        "{server} is no address of a server. Give it like https://egenmonitor.example.",
    ),
}


def enrol(
    code: str | None = None,
    *,
    server: str,
    config: ConfigFile,
    language: Language = "sv",
    replace: bool = False,
) -> int:
    """Give this box its identity: a key that never leaves it, and a certificate for it.

    Args:
        code: The one-time code. Left out, it is asked for, and is in nobody's list of processes.
        server: The server's address, such as https://egenmonitor.example.
        config: The gateway's TOML file; only data_dir of it is needed.
        language: Of what is said: sv or en.
        replace: Take another identity than the one the box has.
    """
    now = datetime.now(UTC)
    try:
        directory = data_dir(config)
    except ConfigProblems as error:
        return complain(str(error), BAD_CONFIGURATION)
    step_down(directory)
    said = {"server": server, "where": str(directory), "now": f"{now:%Y-%m-%d %H:%M} UTC"}
    known = _identity(directory)
    if known is not None and not replace:
        return complain(_words("already", language, {"gateway_id": known}), BAD_CONFIGURATION)
    try:
        done = ask(directory, parse_code(_read(code)), server, now)
    except BadCode:
        return complain(_words("bad_code", language, said), BAD_CONFIGURATION)
    except EnrolFailed as error:
        told = {**said, "detail": error.detail or error.failure.value}
        return complain(_words(error.failure, language, told), UNREACHABLE)
    except (OSError, IdentityDamaged) as error:
        detail = error.strerror if isinstance(error, OSError) else ""
        told = {**said, "detail": detail or str(error)}
        return complain(_words("not_kept", language, told), UNREACHABLE)
    _tell(done, language, said)
    if known not in {None, done.enrolled.gateway_id}:
        print(_words("replaced", language, said))
    return 0


def _read(code: str | None) -> str:
    if code is not None:
        return code
    # Asked for at a terminal, taken from a pipe elsewhere.
    sys.stderr.write("Kod: " if sys.stdin.isatty() else "")
    sys.stderr.flush()
    return sys.stdin.readline(200)


def _tell(done: Done, language: Language, said: dict[str, str]) -> None:
    until = f"{done.enrolled.valid_until:%Y-%m-%d}"
    print(_words("done", language, {"gateway_id": done.enrolled.gateway_id, "until": until}))
    if done.clock_off is not None:
        told = {**said, "off": str(done.clock_off).split(".", maxsplit=1)[0]}
        complain(_words("clock_off", language, told), os.EX_OK)


def _identity(directory: Path) -> str | None:
    """Return who this box is; one that is damaged may be replaced like none."""
    try:
        known = certificate.enrolled(directory)
    except IdentityDamaged:
        return None
    return known.gateway_id if known else None


def _words(key: str, language: Language, said: dict[str, str]) -> str:
    return _WORDS[key][0 if language == "sv" else 1].format(**said)
