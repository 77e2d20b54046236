"""The canary: a made-up patient whose reading goes the whole way every few minutes.

If hers does not become an alert, then perhaps nobody's does. She is sent as a gateway sends, by a
gateway's identity, and looked for where care would look.
"""

from ingest.canary.canary import Canary, NotSetUp

__all__ = ["Canary", "NotSetUp"]
