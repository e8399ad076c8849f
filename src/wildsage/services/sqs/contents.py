"""What a message is made of: what its body and attributes must be, their size, their digests. Pure.

Source: API reference, SendMessage; Developer Guide, "Calculating the MD5 message digest for message attributes".
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping

from wildsage.core.errors import ApiError
from wildsage.services.sqs import names
from wildsage.store.codec import Document

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NAME = re.compile(r"(?!\.)(?!.*\.\.)[A-Za-z0-9_.-]{1,256}(?<!\.)")
_TYPE = re.compile(r"(String|Number|Binary)(\..+)?")
_MOST_ATTRIBUTES = 10
_TOKEN = re.compile(r"[A-Za-z0-9!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~]{1,128}")
_RESERVED = ("aws.", "amazon.")


def check_body(body: str) -> None:
    """Raises MissingParameter or InvalidMessageContents."""
    if not body:
        raise names.missing("The request must contain the parameter MessageBody.")
    if _FORBIDDEN.search(body):
        raise ApiError(
            "InvalidMessageContents",
            "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to "
            "#xFFFD | #x10000 to #x10FFFF",
        )


def check_attributes(attributes: Mapping[str, Document]) -> None:
    """Raises InvalidParameterValue."""
    if len(attributes) > _MOST_ATTRIBUTES:
        raise names.invalid(f"Number of message attributes [{len(attributes)}] exceeds the allowed maximum [10].")
    for name, value in attributes.items():
        if not _NAME.fullmatch(name) or name.lower().startswith(_RESERVED):
            raise names.invalid(f"The message attribute name '{name}' is invalid.")
        kind = _TYPE.fullmatch(str(value.get("DataType") or ""))
        if kind is None:
            raise names.invalid(
                f"The message attribute '{name}' has an invalid message attribute type, the set of supported type "
                "prefixes is Binary, Number, and String."
            )
        member = "BinaryValue" if kind[1] == "Binary" else "StringValue"
        if value.get("StringListValues") or value.get("BinaryListValues"):
            raise ApiError(
                "UnsupportedOperation", "Message attribute list values in SendMessage operation are not supported."
            )
        if not value.get(member):
            raise names.invalid(
                f"The message attribute '{name}' must contain a non-empty message attribute value of type {kind[1]}."
            )
        if kind[1] == "Number":
            _check_number(name, value["StringValue"])


def check_system(attributes: Mapping[str, Document]) -> None:
    """MessageSystemAttributes: AWSTraceHeader alone, a text. Raises InvalidParameterValue."""
    for name, value in attributes.items():
        if name != "AWSTraceHeader" or value.get("DataType") != "String" or not value.get("StringValue"):
            raise names.invalid(f"The message system attribute '{name}' must be AWSTraceHeader with a StringValue.")


def _check_number(name: str, text: str) -> None:
    try:
        float(text)
    except ValueError:
        raise names.invalid(f"Could not cast message attribute '{name}' value to number.") from None


def check_token(name: str, value: str) -> None:
    """MessageGroupId and MessageDeduplicationId. Raises InvalidParameterValue."""
    if not _TOKEN.fullmatch(value):
        raise names.out_of_range(
            name,
            value,
            f"{name} can only include alphanumeric and punctuation characters. 1 to 128 in length.",
        )


def size_of(body: str, attributes: Mapping[str, Document]) -> int:
    """Bytes that count against the limit."""
    size = len(body.encode())
    for name, value in attributes.items():
        size += len(name.encode()) + len(value["DataType"].encode()) + len(_bytes(value))
    return size


def md5(body: str) -> str:
    return hashlib.md5(body.encode(), usedforsecurity=False).hexdigest()


def attributes_md5(attributes: Mapping[str, Document]) -> str:
    """Hex; every part goes with its length before it, in the order of names."""
    digest = hashlib.md5(usedforsecurity=False)
    for name in sorted(attributes):
        value = attributes[name]
        for part in (name.encode(), value["DataType"].encode()):
            digest.update(len(part).to_bytes(4, "big") + part)
        content = _bytes(value)
        mark = b"\x02" if value["DataType"].startswith("Binary") else b"\x01"
        digest.update(mark + len(content).to_bytes(4, "big") + content)
    return digest.hexdigest()


def _bytes(value: Document) -> bytes:
    if value["DataType"].startswith("Binary"):
        return bytes(value["BinaryValue"])
    return str(value["StringValue"]).encode()


def chosen(attributes: Mapping[str, Document], wanted: Iterable[str]) -> dict[str, Document]:
    """Those that MessageAttributeNames asks for: names, ``All``, ``.*`` or ``prefix.*``."""
    patterns = list(wanted)
    if "All" in patterns or ".*" in patterns:
        return dict(attributes)
    prefixes = tuple(each[:-1] for each in patterns if each.endswith(".*"))
    return {
        name: value
        for name, value in attributes.items()
        if name in patterns or (prefixes and name.startswith(prefixes))
    }
