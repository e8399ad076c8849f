"""The JSON that comes and goes with events, looked at for as long as nobody else has to wait."""

from __future__ import annotations

import json

from wildsage.wire.aside import aside
from wildsage.wire.bounds import Bound, holds_few

# json.loads cannot be interrupted: two million empty lists, which are 6 MB, would hold everybody for a second.
_LOOKED_AT = Bound(1 << 23, values=1_000_000)


async def check(text: bytes) -> None:
    """Raises ValueError for what is no JSON.

    What has over 50,000 lists and objects, or a million values, passes: whoever reads it finds out.
    """
    await aside(len(text), _check, text)


def _check(text: bytes) -> None:
    if not holds_few(text, _LOOKED_AT):
        return
    try:
        json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
