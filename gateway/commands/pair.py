"""``gateway pair``: connect a measuring device to this box, with whoever stands there.

A running gateway is asked to do it; without one the radio is opened here. Either way the test
measurement goes where every measurement goes.
"""

import asyncio
import logging
import re
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated, Final

from cyclopts import Parameter

from devices.models import Model, model_named, models
from devices.wire import PairingRequest, PairingStatus, PairingStep
from gateway import log, plugins
from gateway.commands.pair_screen import JsonScreen, PlainScreen, Screen
from gateway.commands.run import Box, build
from gateway.commands.terminal import (
    BAD_CONFIGURATION,
    IN_USE,
    UNREACHABLE,
    ConfigFile,
    complain,
    configuration,
    step_down,
)
from gateway.config import Config
from gateway.control import (
    PAIR_WITHIN_S_MAX,
    Answer,
    AskPair,
    Cancel,
    Conversation,
    GivePasskey,
    No,
    NobodyListens,
    Progress,
    conversation,
    pairing_request,
)
from gateway.database import Database, StoreInUse
from gateway.health import RadioState
from gateway.pairing_words import Language, said
from gateway.radio import PasskeyNotGiven

NOT_PAIRED: Final = 3

# Finding the device and its button, and holding that long enough.
WITHIN_S: Final = 300.0

_ENDS: Final = (PairingStep.DONE, PairingStep.FAILED)
_ADDRESS: Final = re.compile(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}")


class _Said(Exception):
    """It cannot be done; the words say why, the code ends the program."""

    def __init__(self, words: str, code: int) -> None:
        self.code = code
        super().__init__(words)


def pair(
    *,
    config: ConfigFile,
    model: str = "",
    device: str = "",
    language: Language = "sv",
    within_s: float = WITHIN_S,
    as_json: Annotated[bool, Parameter("--json")] = False,
) -> int:
    """Connect a measuring device to this box, and see that a test measurement comes.

    Ends with 0 when it has, 3 when the device was not connected, 1 when the box cannot be
    asked and 2 when something that was given is wrong.

    Args:
        config: The gateway's TOML file.
        model: The model, by its name in docs/devices.md; asked for at a terminal.
        device: The device's Bluetooth address, if it is known.
        language: Of what is said: sv or en.
        within_s: Seconds for finding the device.
        as_json: Each step as one JSON object a line; the passkey is read as a line.
    """
    settings = configuration(config)
    step_down(settings.data_dir)
    log.configure(settings.log.format)
    logging.disable(logging.WARNING)  # what went wrong is said in words, to a person
    plugins.load()
    try:
        which = _which(model, device, language, may_ask=not as_json and sys.stdin.isatty())
        asked = AskPair(
            within_s=min(max(within_s, 1.0), PAIR_WITHIN_S_MAX),
            device_id=device.upper() or None,
            model="" if which is None else which.name,
        )
        screen = JsonScreen() if as_json else PlainScreen(which, language)
        ended = asyncio.run(_pair(settings, asked, screen, language))
    except _Said as error:
        return complain(str(error), error.code)
    except KeyboardInterrupt:
        return NOT_PAIRED
    return 0 if ended.step is PairingStep.DONE else NOT_PAIRED


def _which(model: str, device: str, language: Language, *, may_ask: bool) -> Model | None:
    """Return the model that is meant, None if any is; or raise what is wrong."""
    if device and not _ADDRESS.fullmatch(device):
        raise _Said(said("no_address", language, device=device), BAD_CONFIGURATION)
    known = [each for each in models() if each.connects]
    if not model and not device and may_ask:
        return _choice(known, language)
    names = ", ".join(each.name for each in known)
    if not model:
        if not device:
            raise _Said(said("name_it", language, models=names), BAD_CONFIGURATION)
        return None
    found = model_named(model)
    if found is None:
        raise _Said(said("no_model", language, model=model, models=names), BAD_CONFIGURATION)
    if not found.connects:
        raise _Said(said("not_needed", language, title=found.title), 0)
    return found


def _choice(known: list[Model], language: Language) -> Model:
    print(said("which", language))
    for number, each in enumerate(known, 1):
        print(f"{number:3}  {each.title}")
    while True:
        typed = input(said("which_number", language) + ": ").strip()
        if typed.isdecimal() and 1 <= int(typed) <= len(known):
            return known[int(typed) - 1]


async def _pair(
    config: Config, asked: AskPair, screen: Screen, language: Language
) -> PairingStatus:
    with screen:
        try:
            async with conversation(config.data_dir) as gateway:
                ended = await _through(gateway, asked, screen, language)
        except NobodyListens:
            ended = await _here(config, asked, screen, language)
    if isinstance(ended, _Said):
        raise ended
    return ended


async def _through(
    gateway: Conversation, asked: AskPair, screen: Screen, language: Language
) -> PairingStatus | _Said:
    """Let the running gateway do it."""

    async def type_passkey() -> None:
        try:
            gateway.say(GivePasskey(await screen.passkey()))
        except PasskeyNotGiven:
            gateway.say(Cancel())

    gateway.say(asked)
    typing: asyncio.Task[None] | None = None
    async with asyncio.TaskGroup() as tasks:
        async for answer in _answers(gateway):
            if typing is not None:
                typing.cancel()
                typing = None
            match answer:
                case Progress(status):
                    screen.tell(status)
                    if status.step in _ENDS:
                        return status
                    if status.step is PairingStep.PASSKEY:
                        typing = tasks.create_task(type_passkey(), name="passkey")
                case No("busy"):
                    return _Said(said("busy", language), IN_USE)
                case _:
                    break
        if typing is not None:
            typing.cancel()
    return _Said(said("hung_up", language), UNREACHABLE)


async def _answers(gateway: Conversation) -> AsyncIterator[Answer]:
    """Yield what the gateway says until it hangs up."""
    with suppress(NobodyListens):
        while True:
            yield await gateway.hear()


async def _here(
    config: Config, asked: AskPair, screen: Screen, language: Language
) -> PairingStatus | _Said:
    """Do it with the radio opened here, and keep the test measurement for the next run."""
    try:
        with Database(config.data_dir) as database:
            changed = asyncio.Event()
            box = build(config, database, changed)
            request = pairing_request(asked, box.timekeeper.now())
            async with asyncio.TaskGroup() as tasks:
                central = tasks.create_task(box.central.run(), name="central")
                pairing = tasks.create_task(_until_over(box, request, screen), name="pairing")
                silent = tasks.create_task(_until_no_radio(box, changed), name="radio")
                await asyncio.wait({pairing, silent}, return_when=asyncio.FIRST_COMPLETED)
                for each in (pairing, silent, central):
                    each.cancel()
            if pairing.done() and not pairing.cancelled():
                return pairing.result()
            return _Said(
                said("no_radio", language, why="; ".join(box.health.problems)), UNREACHABLE
            )
    except StoreInUse:
        return _Said(said("in_use", language), IN_USE)


async def _until_over(box: Box, request: PairingRequest, screen: Screen) -> PairingStatus:
    return await box.central.pair(request, screen.passkey, screen.tell)


async def _until_no_radio(box: Box, changed: asyncio.Event) -> None:
    while box.health.radio is not RadioState.LOST:
        changed.clear()
        await changed.wait()
