"""Channels of the images that share Amazon's algorithm framework: checked, then read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from .errors import CustomerError
from .formats import contenttype, files, tables
from .formats.contenttype import CSV, RECORDIO
from .formats.tables import Table
from .job import Channel

_MODES = ("File", "FastFile", "Pipe")
_NOT_INITIALIZED = "Unable to initialize the algorithm. Failed to validate input data configuration."


class Accepted(NamedTuple):
    """What a channel may be. ``label_size`` of CSV where the content type does not say it.

    ``distributions``: S3DataDistributionType values that the image takes.
    """

    required: bool = False
    label_size: int = 1
    distributions: Sequence[str] = ("FullyReplicated", "ShardedByS3Key")


def check(accepted: Mapping[str, Accepted], given: Mapping[str, Channel]) -> None:
    """Raises CustomerError."""
    for name in given:
        if name not in accepted:
            raise CustomerError(_NOT_INITIALIZED, f"Additional properties are not allowed ('{name}' was unexpected)")
    for name, rule in accepted.items():
        if name not in given:
            if rule.required:
                raise CustomerError(_NOT_INITIALIZED, f"'{name}' is a required property")
            continue
        channel = given[name]
        for value, allowed in (
            (contenttype.parse(channel.content_type).media or RECORDIO, (RECORDIO, CSV)),
            (channel.mode, _MODES),
            (channel.distribution, rule.distributions),
        ):
            if value not in allowed:
                raise CustomerError(_NOT_INITIALIZED, f"'{value}' is not one of {list(allowed)}")


def read(channel: Channel, rule: Accepted) -> Table:
    """All of the channel's data. Raises CustomerError."""
    content = contenttype.parse(channel.content_type)
    asked = channel.content_type or RECORDIO
    try:
        size = int(content.parameters.get("label_size", rule.label_size))
    except ValueError:
        raise CustomerError(_NOT_INITIALIZED, f"label_size of '{asked}' is not a number") from None
    try:
        table = tables.joined(
            tables.from_csv(stream, size) if content.media == CSV else tables.from_records(stream)
            for stream in files.streams(channel)
        )
    except tables.Unreadable as error:
        raise CustomerError(
            f"Unable to read data channel '{channel.name}'. Requested content-type is '{asked}'. Please verify the "
            "data matches the requested content-type.",
            f"(Input Error) {error}",
            "MXNetError",
        ) from error
    if not len(table.features):
        raise CustomerError(
            f"Unable to read data channel '{channel.name}'. Found missing channel or empty files. Please check that "
            "the channel has data."
        )
    return table


def check_width(table: Table, channel: str, feature_dim: object) -> None:
    """Raises CustomerError unless the data have ``feature_dim`` features; "auto" and None ask for nothing."""
    width = table.features.shape[1]
    if isinstance(feature_dim, int) and width != feature_dim:
        raise CustomerError(
            f"The number of features in the data of channel '{channel}' ({width}) does not match the hyperparameter "
            f"feature_dim ({feature_dim}). If the data are CSV without labels, set the content type to "
            "'text/csv;label_size=0'."
        )
