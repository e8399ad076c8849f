"""``@operation`` marks the function that answers one API operation; a ``Service`` gathers them.

Names are checked against the service's model when the service is composed, so a misspelt operation stops the program
rather than hiding.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from types import ModuleType

from wildsage.kit.context import Context
from wildsage.kit.reservedtags import Refusal
from wildsage.store.codec import Document

Handler = Callable[[Context, Document], Awaitable[Document]]

_MARK = "__wildsage_operation__"


@dataclass(frozen=True, slots=True)
class Operation:
    """One implemented operation.

    ``runs``: it does what AWS's does; False means that it keeps and returns the document and nothing more ("stored" in
    COVERAGE.md). ``action``/``resources`` are filled by ``gateway`` defaults unless given: the IAM action and the ARNs
    the call needs, as functions of the request document.
    """

    name: str
    handler: Handler
    runs: bool = True
    action: str = ""
    resources: Callable[[Context, Document], Iterable[str]] | None = None


def operation(
    name: str,
    *,
    runs: bool = True,
    action: str = "",
    resources: Callable[[Context, Document], Iterable[str]] | None = None,
) -> Callable[[Handler], Handler]:
    """Marks ``async def handler(ctx, request) -> document`` as operation ``name`` (as botocore's model spells it)."""

    def mark(handler: Handler) -> Handler:
        setattr(handler, _MARK, Operation(name, handler, runs, action, resources))
        return handler

    return mark


@dataclass(frozen=True, slots=True)
class Service:
    """One AWS service: botocore's service name and its implemented operations.

    ``reserved_tag``: how it refuses a tag key that is AWS's own; None: it looks itself, or has no tags.
    """

    name: str
    operations: Mapping[str, Operation]
    reserved_tag: Refusal | None = None


def service(
    name: str, *modules: ModuleType, operations: Iterable[Operation] = (), reserved_tag: Refusal | None = None
) -> Service:
    """A service of the operations that stand in ``modules``, marked or declared, and of ``operations``."""
    found: dict[str, Operation] = {}
    for each in [*(each for module in modules for each in _operations_of(module)), *operations]:
        if each.name in found:
            raise ValueError(f"{name}.{each.name} is implemented twice")
        found[each.name] = each
    return Service(name, found, reserved_tag)


def _operations_of(module: ModuleType) -> Iterable[Operation]:
    for value in vars(module).values():
        if isinstance(value, Operation):
            yield value
        elif hasattr(value, _MARK) and value.__module__ == module.__name__:
            yield getattr(value, _MARK)
