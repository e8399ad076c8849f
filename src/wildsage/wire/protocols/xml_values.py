"""Values of a shape as XML, both ways (REST XML bodies and the answers of the query protocol)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from xml.etree.ElementTree import Element, ParseError, XMLParser

from wildsage.wire.model import Shape
from wildsage.wire.protocols.values import format_scalar, parse_scalar
from wildsage.wire.timestamps import ISO8601, Malformed

_DECLARATIONS = (b"<!DOCTYPE", b"<!ENTITY")
# XML 1.0 has no way to write most control characters, not even escaped; a bare carriage return is read as a line feed.
_UNWRITABLE = {code: "\ufffd" for code in (*range(0x20), 0xFFFE, 0xFFFF) if code not in (0x9, 0xA, 0xD)}
_TEXT = _UNWRITABLE | {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;", 0xD: "&#13;"}
_ATTRIBUTE = _TEXT | {ord('"'): "&quot;", 0x9: "&#9;", 0xA: "&#10;"}


def loads(data: bytes) -> Element:
    """The root element; document type declarations are refused. Raises Malformed."""
    if any(word in data for word in _DECLARATIONS):
        raise Malformed("document type declarations are not allowed")
    parser = XMLParser(encoding="utf-8")
    try:
        parser.feed(data)
        root = parser.close()
    except (ParseError, ValueError) as error:
        raise Malformed(f"the XML is not well-formed: {error}") from error
    return root


def local_name(element: Element) -> str:
    """The tag without its namespace."""
    return element.tag.rpartition("}")[2]


def children(element: Element) -> dict[str, list[Element]]:
    """Child elements by local name, in order."""
    found: dict[str, list[Element]] = {}
    for child in element:
        found.setdefault(local_name(child), []).append(child)
    return found


def text_element(name: str, text: str) -> str:
    """``<name>text</name>``, escaped."""
    return f"<{name}>{text.translate(_TEXT)}</{name}>" if text else f"<{name}/>"


class XmlWriter:
    """Writes values as elements. ``always_milliseconds``: S3 writes ``.000Z`` where the other services write ``Z``."""

    def __init__(self, always_milliseconds: bool = False) -> None:
        self._milliseconds = always_milliseconds

    def element(self, shape: Shape, value: Any, name: str) -> str:
        """One element (several for a flattened list or map)."""
        if shape.kind == "structure":
            attributes, content = self.structure(shape, value)
            return f"<{name}{attributes}>{content}</{name}>" if content else f"<{name}{attributes}/>"
        if shape.kind == "list":
            return self._list(shape, value, name)
        if shape.kind == "map":
            return self._map(shape, value, name)
        return text_element(name, format_scalar(shape, value, ISO8601, self._milliseconds))

    def structure(self, shape: Shape, value: Mapping[str, Any]) -> tuple[str, str]:
        """Attributes (with a leading space) and content of a structure's element; header members are left out."""
        attributes = _namespace(shape)
        parts: list[str] = []
        members = shape.members
        for name, item in value.items():
            member = members.get(name)
            if item is None or member is None or member.location:
                continue
            if member.traits.get("xmlAttribute"):
                attributes += f' {member.wire_name or name}="{str(item).translate(_ATTRIBUTE)}"'
            else:
                parts.append(self.element(member, item, element_name(member, name)))
        return attributes, "".join(parts)

    def _list(self, shape: Shape, value: Iterable[Any], name: str) -> str:
        member = shape.member
        if shape.flattened:
            return "".join(self.element(member, item, name) for item in value)
        item_name = member.wire_name or "member"
        content = "".join(self.element(member, item, item_name) for item in value)
        return f"<{name}{_namespace(shape)}>{content}</{name}>" if content else f"<{name}{_namespace(shape)}/>"

    def _map(self, shape: Shape, value: Mapping[str, Any], name: str) -> str:
        key, item = shape.key, shape.value
        entry = name if shape.flattened else "entry"
        content = "".join(
            f"<{entry}>{self.element(key, k, key.wire_name or 'key')}"
            f"{self.element(item, v, item.wire_name or 'value')}</{entry}>"
            for k, v in value.items()
        )
        return content if shape.flattened else f"<{name}>{content}</{name}>"


def element_name(member: Shape, name: str) -> str:
    """How a structure's member is called: a flattened list goes by its element's name, if that has one."""
    if member.kind == "list" and member.flattened and member.member.wire_name:
        return member.member.wire_name
    return member.wire_name or name


def _namespace(shape: Shape) -> str:
    namespace = shape.traits.get("xmlNamespace")
    if not namespace:
        return ""
    if isinstance(namespace, str):
        return f' xmlns="{namespace}"'
    prefix = f":{namespace['prefix']}" if namespace.get("prefix") else ""
    return f' xmlns{prefix}="{namespace["uri"]}"'


def from_element(shape: Shape, element: Element) -> Any:
    """The value an element stands for. Unknown elements are ignored; raises Malformed."""
    if shape.kind == "structure":
        return _structure_from(shape, element)
    if shape.kind == "list":
        name = shape.member.wire_name or "member"
        return [from_element(shape.member, child) for child in element if local_name(child) == name]
    if shape.kind == "map":
        return _map_from(shape, [child for child in element if local_name(child) == "entry"])
    return parse_scalar(shape, element.text or "", ISO8601)


def _structure_from(shape: Shape, element: Element) -> dict[str, Any]:
    read: dict[str, Any] = {}
    found = children(element)
    for name, member in shape.members.items():
        if member.location:
            continue
        if member.traits.get("xmlAttribute"):
            value = _attribute(element, member.wire_name or name)
            if value is not None:
                read[name] = value
            continue
        elements = found.get(element_name(member, name))
        if elements is None:
            continue
        if member.kind == "list" and member.flattened:
            read[name] = [from_element(member.member, child) for child in elements]
        elif member.kind == "map" and member.flattened:
            read[name] = _map_from(member, elements)
        else:
            read[name] = from_element(member, elements[0])
    return read


def _attribute(element: Element, name: str) -> str | None:
    """An attribute by its local name: ``xsi:type`` is kept by the parser as ``{uri}type``."""
    local = name.rpartition(":")[2]
    return next((value for key, value in element.attrib.items() if key.rpartition("}")[2] == local), None)


def _map_from(shape: Shape, entries: list[Element]) -> dict[str, Any]:
    read: dict[str, Any] = {}
    key_name, value_name = shape.key.wire_name or "key", shape.value.wire_name or "value"
    for entry in entries:
        parts = children(entry)
        if key_name not in parts or value_name not in parts:
            raise Malformed(f"a map entry needs both {key_name} and {value_name}")
        key = from_element(shape.key, parts[key_name][0])
        read[key] = from_element(shape.value, parts[value_name][0])
    return read
