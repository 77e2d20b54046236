"""Other services, by apprise: handed over. Whether it arrives is between her and the service.

The address is one of apprise's, and holds that service's key: it is shown to nobody.
"""

import asyncio
import logging
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import apprise

from alerts.channels.message import Message
from alerts.channels.outcome import Fault, Outcome, State, failed, unknown
from alerts.channels.settings import SERVICES

SEND_S_MAX: Final = 20.0
# Of a service, to connect and to answer each, whatever its address asks for.
ANSWER_S_MAX: Final = 4.0
# So many services may hang, for some seconds each, before others wait. Threads of our own: those
# that look up names, also for SMS and mail, are few and not to be kept busy.
THREADS_MAX: Final = 32
# It logs answers with what it sent in them.
logging.getLogger("apprise").addHandler(logging.NullHandler())
logging.getLogger("apprise").propagate = False


def load() -> None:
    """Read apprise's hundred modules, which takes half a second: not during the first message."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it looks for a module of old Pythons
        apprise.Apprise.instantiate("jsons://localhost/")


@dataclass(frozen=True, slots=True)
class HandedOver:
    """Sends by whatever service the address names."""

    schemes: frozenset[str] = SERVICES
    wait_s: float = SEND_S_MAX
    answer_s: float = ANSWER_S_MAX
    threads: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(THREADS_MAX, thread_name_prefix="apprise")
    )

    async def send(self, address: str, message: Message, attempt_id: int | None) -> Outcome:
        """Hand one message over."""
        del attempt_id  # no service here sends receipts
        if address.partition("://")[0].lower() not in self.schemes:
            return failed(Fault.ADDRESS, "this kind of address is not allowed")
        service = apprise.Apprise.instantiate(address)
        if not isinstance(service, apprise.NotifyBase):
            return failed(Fault.ADDRESS, "this is no address")
        service.socket_connect_timeout = service.socket_read_timeout = self.answer_s
        tell = partial(service.notify, body=message.text, title=message.subject)
        telling = asyncio.get_running_loop().run_in_executor(self.threads, tell)
        try:
            await asyncio.wait([telling], timeout=self.wait_s)
            return self._outcome(telling)
        finally:
            telling.cancel()  # what has not begun never does

    def _outcome(self, telling: asyncio.Future[bool]) -> Outcome:
        if not telling.done():
            return unknown(f"no answer within {self.wait_s:.0f} s")
        broke = telling.exception()
        if broke is not None:  # one person's address: hers to mend; its words may hold the key
            return failed(Fault.PROVIDER, f"the service broke: {type(broke).__name__}")
        if not telling.result():  # apprise does not say why: alerts.sending.health waits for a day
            return failed(Fault.PROVIDER, "the service did not take it")
        return Outcome(state=State.HANDED_OVER, reply="taken")
