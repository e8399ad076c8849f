"""Bodies in signed or unsigned chunks, with any one thing about them wrong."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from tests.api.s3.raw import Answer, Raw

_SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
_UNSIGNED = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
_WRONG = "0" * 64


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass
class Chunks:
    """``body`` in chunks of ``step`` bytes.

    ``trailer``: name and value of a header after the body. ``forged``: the number of the chunk whose signature is
    wrong, -1 for that of the trailer. ``excess``: what each chunk's head says more than is in it. ``stated``: what the
    head of the request says of the length. ``cut``: bytes that never come.
    """

    body: bytes
    step: int = 4096
    trailer: tuple[str, str] | None = None
    signed: bool = True
    forged: int | None = None
    excess: int = 0
    stated: str | None = None
    cut: int = 0

    def put(self, raw: Raw, target: str, together: bool = True) -> Answer:
        """``together``: head and body arrive at once."""
        stated = str(len(self.body)) if self.stated is None else self.stated
        headers = [("x-amz-decoded-content-length", stated), ("content-encoding", "aws-chunked")]
        if self.trailer:
            headers.append(("x-amz-trailer", self.trailer[0]))
        mode = _SIGNED + ("-TRAILER" if self.trailer else "") if self.signed else _UNSIGNED
        signed = raw.signed("PUT", target, mode, headers)
        data = self._encoded(raw, {name.lower(): value for name, value in signed})
        signed.append(("Content-Length", str(len(data))))
        data = data[: len(data) - self.cut]
        pieces = [data] if together else [data[:100], data[100:]]
        return raw.send("PUT", target, signed, pieces, together=together)

    def _encoded(self, raw: Raw, headers: dict[str, str]) -> bytes:
        chain = _Chain(raw.secret, headers)
        pieces = [self.body[at : at + self.step] for at in range(0, len(self.body), self.step)]
        out = b""
        for number, piece in enumerate([*pieces, b""]):
            size = len(piece) + (self.excess if piece else 0)
            proof = chain.next("PAYLOAD", _hash(b"") + "\n" + _hash(piece), number == self.forged)
            out += f"{size:x};chunk-signature={proof}\r\n".encode() if self.signed else f"{size:x}\r\n".encode()
            out += piece + b"\r\n" if piece else b""
        if self.trailer:
            name, value = self.trailer
            out += f"{name}:{value}\r\n".encode()
            proof = chain.next("TRAILER", _hash(f"{name}:{value}\n".encode()), self.forged == -1)
            out += f"x-amz-trailer-signature:{proof}\r\n".encode() if self.signed else b""
        return out + b"\r\n"


class _Chain:
    """Written from the API reference, not from the server's code."""

    def __init__(self, secret: str, headers: dict[str, str]) -> None:
        self._moment = headers["x-amz-date"]
        self._previous = headers["authorization"].rpartition("Signature=")[2]
        self._scope = f"{self._moment[:8]}/us-east-1/s3/aws4_request"
        self._key = f"AWS4{secret}".encode()
        for word in self._scope.split("/"):
            self._key = hmac.digest(self._key, word.encode(), "sha256")

    def next(self, kind: str, hashes: str, forged: bool) -> str:
        text = "\n".join((f"AWS4-HMAC-SHA256-{kind}", self._moment, self._scope, self._previous, hashes))
        self._previous = _WRONG if forged else hmac.digest(self._key, text.encode(), "sha256").hex()
        return self._previous
