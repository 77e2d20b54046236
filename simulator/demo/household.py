"""The command ``python -m simulator home``: the invented patients, for servers run elsewhere."""

import asyncio
from pathlib import Path

from rich.console import Console

from simulator.demo.home import Home
from simulator.demo.place import SEED, ZONE, Place
from simulator.demo.supervisor import DemoError
from simulator.listen import BadListen, exit_with, listen_at
from simulator.people import PEOPLE
from simulator.radio import VirtualRadio

_EXIT_BAD_ARGUMENT = 2


def home(*, listen: str = "127.0.0.1:7777", directory: Path = Path(".demo-home")) -> None:
    """Serve a virtual radio with the devices of twelve invented patients who keep measuring.

    Writes their care record, for ``python -m alerts seed``, to the directory and prints the
    logins in it; then the radio's address. Ctrl-C ends it.

    Args:
        listen: Where the virtual radio is served.
        directory: Where the care record is kept.
    """
    try:
        host, port = listen_at(listen)
        with (place := Place(directory)).held():
            asyncio.run(_live(place, VirtualRadio(host, port), Console()))
    except (BadListen, DemoError) as error:
        exit_with(str(error), _EXIT_BAD_ARGUMENT)
    except OSError as error:
        exit_with(f"--listen {listen}: {error.strerror}. Name a free port", _EXIT_BAD_ARGUMENT)


async def _live(place: Place, radio: VirtualRadio, console: Console) -> None:
    patients = Home(PEOPLE, seed=SEED, zone=ZONE)
    logins, _ = place.logins(place.begun())
    async with radio:
        await patients.move_in(radio)
        lines = [f"radio: {radio.transport}", f"care record: {place.care_record}"]
        lines += [f"  {login.username:8} {login.password}   {login.who}" for login in logins]
        for line in lines:
            console.print(line, markup=False, highlight=False, soft_wrap=True)
        await patients.live()
