"""Values of a shape read from XML (REST XML bodies); ``xml_writer`` is the other way."""

from __future__ import annotations

from typing import Any
from xml.etree.ElementTree import Element, ParseError, XMLParser

from wildsage.wire.model import Shape
from wildsage.wire.protocols.values import parse_scalar
from wildsage.wire.timestamps import ISO8601, Malformed

_DECLARATIONS = (b"<!DOCTYPE", b"<!ENTITY")


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


def element_name(member: Shape, name: str) -> str:
    """How a structure's member is called: a flattened list goes by its element's name, if that has one."""
    if member.kind == "list" and member.flattened and member.member.wire_name:
        return member.member.wire_name
    return member.wire_name or name


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
