"""Bytes as broken or hostile clients might send them."""

from __future__ import annotations

import random
from collections.abc import Sequence


def damaged(dice: random.Random, data: bytes, scraps: Sequence[bytes]) -> bytes:
    """A few of its bytes changed, removed or doubled, or a scrap put in."""
    raw = bytearray(data)
    for _ in range(dice.randint(1, 6)):
        at, choice = dice.randrange(len(raw) + 1), dice.randrange(4)
        if choice == 0 and at < len(raw):
            raw[at] = dice.randrange(256)
        elif choice == 1:
            del raw[at : at + dice.randint(1, 20)]
        elif choice == 2:
            raw[at:at] = raw[at : at + dice.randint(1, 60)]
        else:
            raw[at:at] = dice.choice(scraps)
    return bytes(raw)
