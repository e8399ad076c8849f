"""The contract of multi-model containers, from the side of the platform.

Developer Guide, "Custom Containers Contract for Multi-Model Endpoints".
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from wildsage.wire.http.client import Client
from wildsage.wire.http.messages import BytesBody, Request

LOADED, NO_MEMORY = (200, 409), 507
TARGET = "x-amzn-sagemaker-target-model"
_OWN_SOCKET = re.compile(r"m-[0-9a-f]{16}\.sock")
_SECONDS = 360.0
"""AWS: a model "continues to download and load into the inference container for up to 360 seconds"."""
_MOST_PAGES = 100


@dataclass(frozen=True, slots=True)
class Answer:
    """What a container said; ``document`` is empty where that was no JSON object."""

    status: int
    body: bytes

    @property
    def document(self) -> Mapping[str, Any]:
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}


class Container:
    """One that listens at ``address``. Calls raise Unreachable, AnswerLost and TimeoutError."""

    def __init__(self, client: Client, address: str) -> None:
        self._client = client
        self.address = address

    async def load(self, name: str, url: str, target: str) -> Answer:
        return await self._ask("POST", "/models", {"model_name": name, "url": url}, target)

    async def unload(self, name: str, target: str) -> Answer:
        return await self._ask("DELETE", f"/models/{quote(name)}", None, target)

    async def loaded(self) -> list[str]:
        """The names of all that are loaded. What is not as the contract has it is passed over."""
        found: list[str] = []
        path = "/models"
        for _ in range(_MOST_PAGES):
            page = (await self._ask("GET", path)).document
            models = page.get("models")
            entries = models if isinstance(models, list) else []
            found += [str(each["modelName"]) for each in entries if isinstance(each, dict) and "modelName" in each]
            token = page.get("nextPageToken")
            if not token:
                break
            path = f"/models?next_page_token={quote(str(token), errors='replace')}"
        return found

    def place_of(self, name: str, told: Answer) -> tuple[str, str]:
        """Where a loaded model is asked: the address and the path.

        Our own model server names the socket of the model's process, beside its own; any other passes requests on.
        """
        own = str(told.document.get("wildsageSocket", ""))
        if self.address.startswith("unix:") and _OWN_SOCKET.fullmatch(own):
            folder = PurePosixPath(self.address.removeprefix("unix:")).parent
            return f"unix:{folder / own}", "/invocations"
        return self.address, f"/models/{quote(name)}/invoke"

    async def _ask(self, method: str, path: str, body: object = None, target: str = "") -> Answer:
        data = b"" if body is None else json.dumps(body).encode()
        headers = [("host", "localhost:8080"), ("accept", "application/json"), ("content-length", str(len(data)))]
        headers += [("content-type", "application/json")] if data else []
        headers += [(TARGET, target)] if target else []
        request = Request(method, path, headers, BytesBody(data))
        found = await self._client.whole(self.address, request, _SECONDS)
        return Answer(found.status, found.body)
