"""What every command needs of the terminal: the configuration, exit codes, complaints."""

import os
import pwd
import sys
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from gateway.config import Config, load
from gateway.settings import ConfigProblems

BAD_CONFIGURATION: Final = 2
UNREACHABLE: Final = 1
IN_USE: Final = 1

ConfigFile = Annotated[Path, Parameter(help="The gateway's TOML file.")]


def configuration(path: Path) -> Config:
    """Return the configuration in *path*, or complain of everything in it and exit."""
    try:
        return load(path)
    except ConfigProblems as error:
        sys.exit(complain(str(error), BAD_CONFIGURATION))


def complain(words: str, code: int) -> int:
    """Say *words* where problems are said; return *code*."""
    print(words, file=sys.stderr)
    return code


def step_down(data_dir: Path) -> None:
    """Become the account that owns *data_dir*, if this is root; for good.

    What a command writes there must belong to the service's account: a key that root made
    cannot be read by the gateway that needs it. And what the account may not do is seen.
    """
    if os.geteuid() != 0 or not data_dir.is_dir():
        return
    owner = data_dir.stat()
    if owner.st_uid == 0:
        return
    try:
        os.initgroups(pwd.getpwuid(owner.st_uid).pw_name, owner.st_gid)
    except KeyError:  # an account of another machine's, on a disk that was moved here
        os.setgroups([])
    os.setgid(owner.st_gid)
    os.setuid(owner.st_uid)
