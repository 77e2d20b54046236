"""radio: a virtual room with one device of each kind, to try a gateway in by hand."""

import asyncio
import random
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.console import Console
from rich.table import Table

from simulator.devices.clock import DeviceClock
from simulator.devices.cuff import Cuff
from simulator.devices.mi_scale import MiScale
from simulator.devices.scale import BodyScale
from simulator.devices.step_counter import StepCounter
from simulator.listen import BadListen, exit_with, listen_at
from simulator.radio import VirtualRadio

EXIT_BAD_ARGUMENT = 2


def radio(
    *,
    listen: str = "127.0.0.1:0",
    every_s: Annotated[float, Parameter(validator=Number(gte=1))] = 30.0,
) -> None:
    """Serve a virtual radio with a cuff, two scales and a step counter that keep measuring.

    Prints the radio's address first; Ctrl-C ends it.

    Args:
        listen: Where the virtual radio is served; port 0 finds a free one.
        every_s: How often somebody measures with each device, seconds.
    """
    try:
        host, port = listen_at(listen)
        asyncio.run(_serve(VirtualRadio(host, port), every_s))
    except BadListen as error:
        exit_with(str(error), EXIT_BAD_ARGUMENT)
    except OSError as error:
        exit_with(f"--listen {listen}: {error.strerror}. Name a free port", EXIT_BAD_ARGUMENT)


async def _serve(radio: VirtualRadio, every_s: float) -> None:
    cuff = Cuff("Virtual cuff", clock=DeviceClock())
    scale = BodyScale("Virtual scale", clock=DeviceClock())
    mi_scale, watch = MiScale(2), StepCounter()
    console = Console()
    async with radio:
        console.print(f"radio: {radio.transport}", highlight=False, soft_wrap=True)
        table = Table("device", "name")
        for device in (cuff, scale, mi_scale, watch):
            await radio.attach(device)
            table.add_row(device.device_id, device.name)
        console.print(table)
        while True:
            cuff.measure(random.randint(110, 180), random.randint(65, 105), random.randint(55, 95))
            scale.measure(random.uniform(55, 95), fat_percent=random.uniform(15, 40))
            mi_scale.measure(random.uniform(55, 95), impedance_ohm=random.randint(400, 600))
            watch.walk(random.randint(10, 400))
            await asyncio.sleep(every_s)
