"""Random and mutated payloads, from one seed."""

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

from devices.quantity import Quantity
from devices.wire import encode_message, encode_rows
from tests.ingest.county import GATEWAY, NOW, pressure, reading

_HOSTILE: list[Any] = [
    None,
    True,
    "",
    " ",
    "\0",
    "é" * 300,
    "x" * 70_000,
    -1,
    0,
    2**31,
    2**63,
    2**64,
    -(2**70),
    1e308,
    -1e308,
    5e-324,
    [],
    {},
    [[]] * 50,
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "2026-02-30T00:00:00Z",
    "2026-01-01T00:00:00",
    "2026-01-01T00:00:00+14:00",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "'; drop table reading; --",
    "NaN",
    "AAAA",
    [0],
    [-(2**63), 2**63 - 1],
    [None] * 5,
    [1e300] * 15,
    ["systolic mm[Hg]"],
]


def payloads(count: int, seed: int) -> Iterator[bytes]:
    """Yield *count* payloads, most of them broken; whole ones name a device nobody has."""
    chance = random.Random(seed)
    whole = _messages()
    for _ in range(count):
        kind = chance.randrange(6)
        base = chance.choice(whole)
        if kind == 0:
            yield chance.randbytes(chance.randrange(200))
        elif kind == 1:
            yield base[: chance.randrange(len(base))]
        elif kind == 2:
            yield _flip(base, chance)
        elif kind == 3:
            place = chance.randrange(len(base))
            yield base[:place] + chance.randbytes(chance.randrange(1, 9)) + base[place:]
        else:
            yield _hostile(base, chance, times=kind - 3)


def _messages() -> list[bytes]:
    device_id = "nobody-has-this"
    values = {Quantity.SYSTOLIC: 128.0, Quantity.DIASTOLIC: 81.0, Quantity.PULSE: 60.0}
    one = reading(values, device_id=device_id, slot=1, clock_offset_s=1.0, battery_percent=50)
    many = [pressure(120 + n, 80, device_id=device_id, measured_at=NOW) for n in range(5)]
    return [
        encode(GATEWAY, NOW, some)
        for encode in (encode_rows, encode_message)
        for some in ([one], many)
    ]


def _flip(base: bytes, chance: random.Random) -> bytes:
    changed = bytearray(base)
    for _ in range(chance.randrange(1, 4)):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _hostile(base: bytes, chance: random.Random, times: int) -> bytes:
    tree = json.loads(base)
    for _ in range(times):
        node = chance.choice(list(_nodes(tree)))
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        if not keys:
            continue
        key = chance.choice(keys)
        if isinstance(node, dict) and chance.randrange(4) == 0:
            del node[key]
        else:
            # A copy: what is changed inside it must not change the next payload's, or hold itself.
            node[key] = copy.deepcopy(chance.choice(_HOSTILE))
    # 1e999 is JSON, and no float.
    return json.dumps(tree).replace("1e+308", "1e999").encode()


def _nodes(tree: Any) -> Iterator[Any]:
    if isinstance(tree, dict):
        yield tree
        for value in tree.values():
            yield from _nodes(value)
    elif isinstance(tree, list):
        yield tree
        for value in tree:
            yield from _nodes(value)
