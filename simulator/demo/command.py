"""The command ``python -m simulator demo``."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated

import cyclopts
from rich.console import Console

from simulator.demo.orchestrator import Options, run
from simulator.demo.supervisor import DemoError

_EXIT_FAILED = 1


def demo(
    *,
    directory: Path = Path(".demo"),
    port: Annotated[int | None, cyclopts.Parameter(name="--port")] = None,
    tester_port: Annotated[int | None, cyclopts.Parameter(name="--tester-port")] = None,
) -> None:
    """Start the whole chain with invented patients on this machine; Ctrl-C stops it.

    Args:
        directory: Where the demo keeps its data; remove it to begin anew.
        port: Where the worklist is served; 8080 if free, or another.
        tester_port: Where the tester's page is served; 8081 if free, or another.
    """
    console = Console()
    code = 0
    try:
        asyncio.run(run(Options(directory, port, tester_port), console))
    except* DemoError as errors:
        code = _EXIT_FAILED
        for error in errors.exceptions:
            text = f"The demo ends: {_first(error)}"
            console.print(text, markup=False, highlight=False, soft_wrap=True)
    sys.stdout.flush()
    # Everything is stopped and saved; taking twenty-five virtual radios apart costs a second.
    os._exit(code)


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
