"""Values of a shape as XML (REST XML bodies and the answers of the query protocol); ``xml_values`` reads them.

How a shape is written is found out once, not with every value: a page of a bucket has some 8,000 elements.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from wildsage.wire.model import Shape
from wildsage.wire.protocols.values import format_scalar
from wildsage.wire.protocols.xml_values import element_name
from wildsage.wire.timestamps import ISO8601

Element = Callable[[Any], str]
"""Writes a value as one element (several for a flattened list or map)."""

# XML 1.0 has no way to write most control characters, not even escaped; a bare carriage return is read as a line feed.
_UNWRITABLE = {code: "\ufffd" for code in (*range(0x20), 0xFFFE, 0xFFFF) if code not in (0x9, 0xA, 0xD)}
_TEXT = _UNWRITABLE | {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;", 0xD: "&#13;"}
_ATTRIBUTE = _TEXT | {ord('"'): "&quot;", 0x9: "&#9;", 0xA: "&#10;"}
_NEEDS_ESCAPE = re.compile(r"[&<>\x00-\x08\x0b-\x1f\ufffe\uffff]").search  # a fourth of translate's time

_OWN_TEXT: Mapping[str, type] = {"string": str, "character": str, "integer": int, "long": int}


def text_element(name: str, text: str) -> str:
    """``<name>text</name>``, escaped."""
    return f"<{name}>{_escaped(text)}</{name}>" if text else f"<{name}/>"


def _escaped(text: str) -> str:
    return text.translate(_TEXT) if _NEEDS_ESCAPE(text) else text


class XmlWriter:
    """Writes values as elements. ``always_milliseconds``: S3 writes ``.000Z`` where the other services write ``Z``."""

    def __init__(self, always_milliseconds: bool = False) -> None:
        self._milliseconds = always_milliseconds
        self._structures: dict[Shape, _Structure] = {}

    def element(self, shape: Shape, value: Any, name: str) -> str:
        """One element (several for a flattened list or map)."""
        return self.of(shape, name)(value)

    def structure(self, shape: Shape, value: Mapping[str, Any]) -> tuple[str, str]:
        """Attributes (with a leading space) and content of a structure's element; header members are left out."""
        made = self._structures.get(shape)
        if made is None:
            made = self._structures[shape] = _Structure(self, shape)
        return made.parts(value)

    def of(self, shape: Shape, name: str) -> Element:
        """What writes values of ``shape`` as elements ``name``."""
        if shape.kind == "structure":
            return self._structure(shape, name)
        if shape.kind == "list":
            return self._list(shape, name)
        if shape.kind == "map":
            return self._map(shape, name)
        return self._scalar(shape, name)

    def _structure(self, shape: Shape, name: str) -> Element:
        def write(value: Mapping[str, Any]) -> str:
            attributes, content = self.structure(shape, value)
            return f"<{name}{attributes}>{content}</{name}>" if content else f"<{name}{attributes}/>"

        return write

    def _list(self, shape: Shape, name: str) -> Element:
        if shape.flattened:
            one = self.of(shape.member, name)
            return lambda value: "".join(map(one, value))
        item = self.of(shape.member, shape.member.wire_name or "member")
        namespace = _namespace(shape)

        def write(value: Iterable[Any]) -> str:
            content = "".join(map(item, value))
            return f"<{name}{namespace}>{content}</{name}>" if content else f"<{name}{namespace}/>"

        return write

    def _map(self, shape: Shape, name: str) -> Element:
        key = self.of(shape.key, shape.key.wire_name or "key")
        item = self.of(shape.value, shape.value.wire_name or "value")
        entry = name if shape.flattened else "entry"

        def write(value: Mapping[str, Any]) -> str:
            content = "".join(f"<{entry}>{key(k)}{item(v)}</{entry}>" for k, v in value.items())
            return content if shape.flattened else f"<{name}>{content}</{name}>"

        return write

    def _scalar(self, shape: Shape, name: str) -> Element:
        opening, closing, empty = f"<{name}>", f"</{name}>", f"<{name}/>"
        quick = _OWN_TEXT.get(shape.kind)
        milliseconds = self._milliseconds

        def write(value: object) -> str:
            # Most values are what str() writes; the exact type, because booleans are integers too.
            plain = type(value) is quick
            text = str(value) if plain else format_scalar(shape, value, ISO8601, milliseconds)
            if _NEEDS_ESCAPE(text):
                text = text.translate(_TEXT)
            return opening + text + closing if text else empty

        return write


class _Structure:
    """Writes values of one structure; how a member is written is found out when it first appears."""

    def __init__(self, writer: XmlWriter, shape: Shape) -> None:
        self._writer = writer
        self._shape = shape
        self._namespace = _namespace(shape)
        self._elements: dict[str, Element] = {}
        self._attributes: dict[str, str] = {}

    def parts(self, value: Mapping[str, Any]) -> tuple[str, str]:
        """Attributes and content."""
        elements = self._elements
        written: list[str] = []
        for name, item in value.items():
            if item is not None:
                write = elements.get(name)
                written.append((self._find(name) if write is None else write)(item))
        attributes = self._namespace
        for name, wire_name in self._attributes.items():
            if value.get(name) is not None:
                attributes += f' {wire_name}="{str(value[name]).translate(_ATTRIBUTE)}"'
        return attributes, "".join(written)

    def _find(self, name: str) -> Element:
        member = self._shape.members.get(name)
        if member is None:
            return _nothing  # not kept: whoever calls with ever new names must not fill the memory
        found: Element = _nothing
        if member.traits.get("xmlAttribute"):
            self._attributes[name] = member.wire_name or name
        elif not member.location:
            found = self._writer.of(member, element_name(member, name))
        self._elements[name] = found
        return found


def _nothing(_value: object) -> str:
    return ""


def _namespace(shape: Shape) -> str:
    namespace = shape.traits.get("xmlNamespace")
    if not namespace:
        return ""
    if isinstance(namespace, str):
        return f' xmlns="{namespace}"'
    prefix = f":{namespace['prefix']}" if namespace.get("prefix") else ""
    return f' xmlns{prefix}="{namespace["uri"]}"'
