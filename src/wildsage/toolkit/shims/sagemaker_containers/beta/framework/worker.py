"""The answer that an ``output_fn`` may make by itself."""

from __future__ import annotations


class Response:
    """Body, status and content type, as Flask's response has them. ``mimetype`` goes before ``accept``."""

    def __init__(
        self,
        response: str | bytes | None = None,
        accept: str | None = None,
        status: int | None = None,
        headers: object = None,
        mimetype: str | None = None,
    ) -> None:
        self.response = response
        self.status_code = status or 200
        self.headers = headers
        self.content_type = mimetype or accept or "application/json"

    def get_data(self) -> bytes:
        body = self.response or b""
        return body.encode() if isinstance(body, str) else body
