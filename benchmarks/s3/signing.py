"""Requests signed before the clock runs: for ``wrk``, as Lua scripts, and for a plain HTTP client."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials


@dataclass(frozen=True, slots=True)
class Place:
    """An S3 endpoint and the credentials that it takes."""

    url: str
    access_key: str
    secret: str
    token: str | None = None

    def headers(self, method: str, path: str, body: bytes = b"") -> dict[str, str]:
        """The headers of one signed request; ``path`` with its query, encoded."""
        request = AWSRequest(method, f"{self.url}{path}", data=body)
        request.headers["x-amz-content-sha256"] = hashlib.sha256(body).hexdigest()
        S3SigV4Auth(Credentials(self.access_key, self.secret, self.token), "s3", "us-east-1").add_auth(request)
        return dict(request.prepare().headers)


def script(path: Path, place: Place, method: str, targets: Iterable[str], body: bytes = b"") -> Path:
    """A wrk script that goes through ``targets`` again and again, each signed once; ``body`` is plain letters."""
    lines = [f"local body = {'nil' if method == 'GET' else repr(body.decode())}", "local made, at = {}, 0"]
    # A table constructor of thousands of entries is too much for Lua's compiler; a call for each is not.
    lines.append("local function add(path, headers) made[#made + 1] = {path, headers} end")
    for target in targets:
        headers = place.headers(method, target, body)
        pairs = ", ".join(f"[{name!r}] = {value!r}" for name, value in headers.items() if name != "Content-Length")
        lines.append(f"add({target!r}, {{{pairs}}})")
    lines += [
        "local texts = {}",
        "function init(_)",
        f"  for i, one in ipairs(made) do texts[i] = wrk.format({method!r}, one[1], one[2], body) end",
        "end",
        "function request()",
        "  at = at % #texts + 1",
        "  return texts[at]",
        "end",
    ]
    path.write_text("\n".join(lines) + "\n")
    return path
