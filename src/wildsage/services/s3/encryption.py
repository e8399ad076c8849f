"""Server-side encryption (User Guide, "Protecting data with server-side encryption").

What is asked for, or is the bucket's default, is done: bytes are sealed on disk (``objects.sealing``).  Of a customer's
key (SSE-C) only a fingerprint is kept.  For ``AES256`` and ``aws:kms`` the key is derived from the server's master
secret, the method and the KMS key's name; whether there is such a KMS key is not asked.  What nobody asks to encrypt is
a plain file.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any, Final

from wildsage.core import arn
from wildsage.core.credentials import ServerCredentials
from wildsage.core.errors import ApiError
from wildsage.kit.context import Context
from wildsage.objects.sealing import Sealed, Segment, fingerprint
from wildsage.services.s3 import errors
from wildsage.store.buckets import Bucket
from wildsage.store.codec import Document

_KEY_BYTES: Final = 32
_KMS: Final = ("aws:kms", "aws:kms:dsse")
_OWN: Final = "alias/aws/s3"  # the key of the account for S3


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


def writing_key(credentials: ServerCredentials, request: Document, headers: Mapping[str, str]) -> bytes | None:
    """The key that a new object is sealed under; None if nobody asks for encryption.

    ``headers``: of the object's document, which name the method.
    """
    customer = customer_key(request)
    return customer if customer is not None else _server_key(credentials, headers)


def _server_key(credentials: ServerCredentials, headers: Mapping[str, str]) -> bytes | None:
    method = headers.get("ServerSideEncryption")
    if method is None:
        return None
    return hmac.digest(credentials.master, f"s3 {method} {headers.get('SSEKMSKeyId', '')}".encode(), "sha256")


def sealed_document(request: Document, key: bytes | None, segments: Sequence[tuple[int, str]]) -> Document:
    """What the document of an object gets; ``segments``: size and blob name of each. Nothing without a key."""
    if key is None:
        return {}
    known = lock(key, segments[0][1]) if request.get("SSECustomerKey") else {}
    return {"Sealed": {**known, "Segments": [list(segment) for segment in segments]}}


def fits(key: bytes, kept: Mapping[str, Any]) -> bool:
    """Whether ``key`` is the one that ``kept`` (of ``lock``) remembers."""
    return hmac.compare_digest(fingerprint(key, kept["Salt"]), str(kept["Fingerprint"]))


def opened(credentials: ServerCredentials, request: Document, document: Document, prefix: str = "") -> Sealed | None:
    """How to read an object, with the key of the request where it takes one; None for one that is not sealed.

    Raises InvalidRequest without the customer's key, with another one, or with one where none is wanted.
    """
    key, kept = customer_key(request, prefix), document.get("Sealed")
    if kept is None or "Fingerprint" not in kept:
        if key is not None:
            raise errors.invalid_request("The encryption parameters are not applicable to this object.")
        key = None if kept is None else _server_key(credentials, document["Headers"])
    elif key is None:
        raise errors.invalid_request(
            "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to "
            "retrieve the object."
        )
    elif not fits(key, kept):
        raise errors.invalid_request("The provided encryption parameters did not match the ones used originally.")
    if key is None or kept is None:
        return None
    return Sealed(key, tuple(Segment(size, salt) for size, salt in kept["Segments"]))


def told(request: Document) -> Document:
    """What every answer says of the customer's key."""
    return {name: request[name] for name in ("SSECustomerAlgorithm", "SSECustomerKeyMD5") if request.get(name)}


def described(ctx: Context, bucket: Bucket, request: Document) -> dict[str, str]:
    """The headers that name a new object's encryption: the request's, else the bucket's default.

    Raises InvalidArgument for a KMS key without aws:kms.
    """
    if customer_key(request) is not None:
        return {}
    method, key_id = request.get("ServerSideEncryption"), request.get("SSEKMSKeyId")
    if key_id is not None and method not in _KMS:
        words = "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption:"
        words = f"{words} aws:kms"
        raise errors.invalid_argument(words, "x-amz-server-side-encryption", str(method))
    if method is None:
        method, key_id = _default_of(bucket)
    if method is None:
        return {}
    if method not in _KMS:
        return {"ServerSideEncryption": method}
    return {"ServerSideEncryption": method, "SSEKMSKeyId": key_id or arn.build("kms", ctx.region, ctx.account, _OWN)}


def _default_of(bucket: Bucket) -> tuple[str | None, str | None]:
    """Method and KMS key of the bucket's default encryption, if one was put."""
    rules: Sequence[Document] = (bucket.settings.get("ServerSideEncryptionConfiguration") or {}).get("Rules") or ()
    for rule in rules:
        default = rule.get("ApplyServerSideEncryptionByDefault") or {}
        return default.get("SSEAlgorithm"), default.get("KMSMasterKeyID")
    return None, None
