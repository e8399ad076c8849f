"""Requests signed before the clock runs: for ``wrk``, as Lua scripts, and for a plain HTTP client."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

UNSIGNED = "UNSIGNED-PAYLOAD"
_SCRIPT = """
local made, at = {{}}, 0
function init(_)
  for text in io.open("{path}", "rb"):read("*a"):gmatch("[^%z]+") do made[#made + 1] = text end
end
function request()
  at = at % #made + 1
  return made[at]
end
"""


@dataclass(frozen=True, slots=True)
class Place:
    """An S3 endpoint and the credentials that it takes."""

    url: str
    access_key: str
    secret: str
    token: str | None = None

    def headers(self, method: str, path: str, body: bytes = b"", payload: str | None = None) -> dict[str, str]:
        """The headers of one signed request. ``path``: with its query, encoded; ``payload``: instead of a hash."""
        request = AWSRequest(method, f"{self.url}{path}")
        auth = S3SigV4Auth(Credentials(self.access_key, self.secret, self.token), "s3", "us-east-1")
        hashed = payload or hashlib.sha256(body).hexdigest()
        auth.payload = lambda _request: hashed
        auth.add_auth(request)
        return dict(request.headers.items())


def script(path: Path, place: Place, method: str, targets: Iterable[str], body: bytes = b"") -> Path:
    """A wrk script that goes through ``targets`` again and again, each signed once; ``body`` has no zero byte.

    The requests are in a file beside it, as they go over the wire: thousands are too many for Lua's compiler.
    """
    host = urlsplit(place.url).netloc
    requests = path.with_suffix(".requests")
    with requests.open("wb") as file:
        for target in targets:
            headers = {"Host": host, "Content-Length": str(len(body)), **place.headers(method, target, body)}
            lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
            file.write("\r\n".join([*lines, "", ""]).encode() + body + b"\0")
    path.write_text(_SCRIPT.format(path=requests))
    return path
