"""Asking a running gateway for a pairing or its status, from the same machine."""

from gateway.control.client import Conversation, NobodyListens, ask_status, conversation
from gateway.control.message import (
    PAIR_WITHIN_S_MAX,
    SOCKET_NAME,
    Answer,
    AskPair,
    Cancel,
    GivePasskey,
    No,
    Progress,
)
from gateway.control.server import Control, Pair, Passkey, pairing_request

__all__ = [
    "PAIR_WITHIN_S_MAX",
    "SOCKET_NAME",
    "Answer",
    "AskPair",
    "Cancel",
    "Control",
    "Conversation",
    "GivePasskey",
    "No",
    "NobodyListens",
    "Pair",
    "Passkey",
    "Progress",
    "ask_status",
    "conversation",
    "pairing_request",
]
