"""AES-256-GCM, for pieces of a sealed blob. Loaded by ``sealing`` when the first one is met."""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


class Aes:
    """One segment's cipher (``sealing.Cipher``). ``key``: 32 bytes."""

    def __init__(self, key: bytes) -> None:
        self._aes = AESGCM(key)

    def seal(self, nonce: bytes, data: bytes) -> bytes:
        return self._aes.encrypt(nonce, data, None)

    def open(self, nonce: bytes, sealed: bytes) -> bytes:
        try:
            return self._aes.decrypt(nonce, sealed, None)
        except InvalidTag as error:
            raise OSError("a sealed blob cannot be opened: it was changed on disk") from error
