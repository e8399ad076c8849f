"""Batches: up to ten entries, each answered by itself."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence

from wildsage.core.errors import ApiError
from wildsage.store.codec import Document

_MOST = 10
_ID = re.compile(r"[A-Za-z0-9_-]{1,80}")


def entries_of(request: Document) -> Sequence[Document]:
    """The entries; raises what is wrong with the batch as a whole."""
    entries: Sequence[Document] = request.get("Entries") or ()
    if not entries:
        raise ApiError("EmptyBatchRequest", "There should be at least one entry in the request.")
    if len(entries) > _MOST:
        raise ApiError(
            "TooManyEntriesInBatchRequest",
            f"Maximum number of entries per request are {_MOST}. You have sent {len(entries)}.",
        )
    seen: set[str] = set()
    for entry in entries:
        if not _ID.fullmatch(entry["Id"]):
            raise ApiError(
                "InvalidBatchEntryId",
                "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at "
                "most 80 letters long.",
            )
        if entry["Id"] in seen:
            raise ApiError("BatchEntryIdsNotDistinct", f"Id {entry['Id']} repeated.")
        seen.add(entry["Id"])
    return entries


def failed(entry: Document, error: ApiError) -> Document:
    """A BatchResultErrorEntry."""
    return {"Id": entry["Id"], "SenderFault": error.status < 500, "Code": error.code, "Message": error.message}


async def each(entries: Sequence[Document], work: Callable[[Document], Awaitable[None]]) -> Document:
    """Does ``work`` for every entry; the answer of a batch whose results have nothing but an id."""
    answer: Document = {"Successful": [], "Failed": []}
    for entry in entries:
        try:
            await work(entry)
        except ApiError as error:
            answer["Failed"].append(failed(entry, error))
        else:
            answer["Successful"].append({"Id": entry["Id"]})
    return {name: value for name, value in answer.items() if value}
