"""XGBoost's channels and their content types, checked in the image's words."""

from __future__ import annotations

from collections.abc import Mapping

from ..formats import contenttype
from ..job import Channel
from .errors import UserError

CSV, LIBSVM, PARQUET, RECORDIO = "csv", "libsvm", "parquet", "recordio-protobuf"

_FORMATS = {
    "csv": CSV,
    "libsvm": LIBSVM,
    "parquet": PARQUET,
    "recordio-protobuf": RECORDIO,
    "text/csv": CSV,
    "text/libsvm": LIBSVM,
    "text/x-libsvm": LIBSVM,
    "application/x-parquet": PARQUET,
    "application/x-recordio-protobuf": RECORDIO,
}
_NAMES = ("train", "validation", "code")
_NO_PIPE = (
    "Pipe mode for {} is no longer supported. Please use Fast File mode (default) instead. Set input_mode='File' in "
    "your SageMaker Estimator or TrainingInput."
)
_TITLES = {CSV: "CSV", PARQUET: "Parquet", RECORDIO: "RecordIO-Protobuf"}


def check(given: Mapping[str, Channel]) -> str:
    """The format of channel ``train``. Raises UserError."""
    if "train" not in given:
        raise UserError("Missing required channel: train")
    for name, channel in given.items():
        if name not in _NAMES:
            raise UserError(f"Extraneous channel found: {name}")
        if name != "code":
            _check_mode(channel, format_of(channel.content_type))
    return format_of(given["train"].content_type)


def format_of(content_type: str) -> str:
    """Without a content type it is libsvm. Raises UserError."""
    asked = contenttype.parse(content_type or "text/libsvm")
    found = _FORMATS.get(asked.media)
    if found is None:
        raise UserError(f"{content_type} is not an accepted ContentType: {', '.join(_FORMATS)}.")
    if found == CSV and asked.parameters.get("label_size", "1") != "1":
        raise UserError(
            f"{content_type} is not an accepted csv ContentType. Optional parameter label_size must be equal to 1"
        )
    return found


def _check_mode(channel: Channel, found: str) -> None:
    if channel.mode == "Pipe":
        words = "Pipe mode not supported for LibSVM." if found == LIBSVM else _NO_PIPE.format(_TITLES[found])
        raise UserError(words)
