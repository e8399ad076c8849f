"""Server-side encryption: customers' keys (SSE-C), and what is said of S3's own.

Source: User Guide, "Protecting data with server-side encryption".

Under a customer's key bytes are sealed on disk (``objects.sealing``), and only a fingerprint of the key is kept.  S3's
own encryption shows in nothing but a header, and bytes stay plain files here.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any, Final

from wildsage.core.errors import ApiError
from wildsage.objects.sealing import Sealed, Segment, fingerprint
from wildsage.services.s3 import errors
from wildsage.store.buckets import Bucket
from wildsage.store.codec import Document

_KEY_BYTES: Final = 32


def customer_key(request: Document, prefix: str = "") -> bytes | None:
    """The key that the request brings, checked. ``prefix``: ``CopySource`` for the one of a copy's source.

    Raises InvalidArgument or InvalidEncryptionAlgorithmError.
    """
    algorithm, text, md5 = (request.get(f"{prefix}SSECustomer{part}") for part in ("Algorithm", "Key", "KeyMD5"))
    if algorithm is None and text is None and md5 is None:
        return None
    if algorithm is None:
        words = "Requests specifying Server Side Encryption with Customer provided keys must provide a valid encryption"
        raise errors.invalid_argument(f"{words} algorithm.", "x-amz-server-side-encryption", "null")
    if algorithm != "AES256":
        fields = {"ArgumentName": "x-amz-server-side-encryption", "ArgumentValue": algorithm}
        words = "The encryption request you specified is not valid. The valid value is AES256."
        raise ApiError("InvalidEncryptionAlgorithmError", words, 400, fields)
    if text is None:
        words = "Requests specifying Server Side Encryption with Customer provided keys must provide an appropriate"
        raise errors.invalid_argument(f"{words} secret key.", "x-amz-server-side-encryption", "null")
    key = _decode(text)
    if len(key) != _KEY_BYTES:
        words = "The secret key was invalid for the specified algorithm."
        raise errors.invalid_argument(words, "x-amz-server-side-encryption", "null")
    if md5 is None or base64.b64encode(hashlib.md5(key, usedforsecurity=False).digest()).decode() != md5:
        words = "The calculated MD5 hash of the key did not match the hash that was provided."
        raise errors.invalid_argument(words, "x-amz-server-side-encryption", "null")
    if not prefix and request.get("ServerSideEncryption") is not None:
        words = "Server Side Encryption with Customer provided key is incompatible with the encryption method specified"
        raise errors.invalid_argument(words, "x-amz-server-side-encryption", request["ServerSideEncryption"])
    return key


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def lock(key: bytes, salt: str) -> Document:
    """What an upload or object keeps of its key."""
    return {"Salt": salt, "Fingerprint": fingerprint(key, salt)}


def sealed_document(key: bytes | None, segments: Sequence[tuple[int, str]]) -> Document:
    """What the document of an object gets; ``segments``: size and blob name of each. Nothing without a key."""
    if key is None:
        return {}
    return {"Sealed": {**lock(key, segments[0][1]), "Segments": [list(segment) for segment in segments]}}


def fits(key: bytes, kept: Mapping[str, Any]) -> bool:
    """Whether ``key`` is the one that ``kept`` (of ``lock``) remembers."""
    return hmac.compare_digest(fingerprint(key, kept["Salt"]), str(kept["Fingerprint"]))


def opened(request: Document, document: Document, prefix: str = "") -> Sealed | None:
    """How to read an object with the key of the request; None for one that is not sealed.

    Raises InvalidRequest without a key, with another one, or with one where none is wanted.
    """
    key, kept = customer_key(request, prefix), document.get("Sealed")
    if kept is None:
        if key is not None:
            raise errors.invalid_request("The encryption parameters are not applicable to this object.")
        return None
    if key is None:
        raise errors.invalid_request(
            "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to "
            "retrieve the object."
        )
    if not fits(key, kept):
        raise errors.invalid_request("The provided encryption parameters did not match the ones used originally.")
    return Sealed(key, tuple(Segment(size, salt) for size, salt in kept["Segments"]))


def told(request: Document) -> Document:
    """What every answer says of the customer's key."""
    return {name: request[name] for name in ("SSECustomerAlgorithm", "SSECustomerKeyMD5") if request.get(name)}


def default_of(bucket: Bucket) -> str | None:
    """The method of the bucket's default encryption, if one was put."""
    rules: Sequence[Document] = (bucket.settings.get("ServerSideEncryptionConfiguration") or {}).get("Rules") or ()
    for rule in rules:
        method: str | None = (rule.get("ApplyServerSideEncryptionByDefault") or {}).get("SSEAlgorithm")
        return method
    return None
