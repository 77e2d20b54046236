"""Voice: a call to somebody who has a telephone on the wall. Whether she answers is not known.

46elks plays a recording when she answers (46elks.se/docs/make-call, voice-play); that it speaks a
text is documented for English only, as a trial. So it is given a recording of the words; a service
that speaks Swedish is given the words themselves, by a request of our own form.
"""

import json
from dataclasses import dataclass

import httpx

from alerts.channels.message import Message
from alerts.channels.outcome import Outcome, State, said
from alerts.channels.posting import SEND_S_MAX, Account, Answer, post, taken
from alerts.channels.settings import VoiceSettings

# Who walks slowly to a telephone; the usual is less.
RING_S = 60


@dataclass(frozen=True, slots=True)
class Voice:
    """Calls through one account."""

    settings: VoiceSettings
    client: httpx.AsyncClient
    wait_s: float = SEND_S_MAX

    async def send(self, address: str, message: Message, attempt_id: int | None) -> Outcome:
        """Ask for one call to be made."""
        del attempt_id  # of a call nothing is told here afterwards
        settings = self.settings
        account = Account(settings.url, settings.username, settings.password_file)
        if settings.recording is None:
            words = {"to": address, "language": "sv", "text": message.spoken or message.text}
            answer = await post(self.client, account, self.wait_s, json=words)
            return _handed_over(answer) if isinstance(answer, Answer) else answer
        form = {
            "from": settings.caller or "",
            "to": address,
            "timeout": str(RING_S),
            "voice_start": json.dumps({"play": settings.recording, "skippable": False}),
        }
        answer = await post(self.client, account, self.wait_s, data=form)
        if not isinstance(answer, Answer):
            return answer
        return answer.refusal or taken(answer, "state", State.HANDED_OVER)


def _handed_over(answer: Answer) -> Outcome:
    return answer.refusal or Outcome(state=State.HANDED_OVER, reply=said(str(answer.status)))
