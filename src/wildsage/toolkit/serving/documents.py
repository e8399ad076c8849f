"""What a Hugging Face pipeline takes and gives, as bodies: aws/sagemaker-huggingface-inference-toolkit.

``decoder_encoder.py`` there. Images need Pillow in the environment, as in AWS's image.
"""

from __future__ import annotations

import base64
import csv
import importlib
import io
import json
from typing import Any

from . import formats

_IMAGES = {f"image/{kind}": kind.upper() for kind in ("jpeg", "png", "tiff", "bmp", "gif", "webp")}
_IMAGES["image/x-image"] = "PNG"
_AUDIO = ("audio/x-flac", "audio/mpeg", "audio/wave", "audio/ogg", "audio/x-audio")
_HEADERS = ("question", "context", "inputs")


def decode(content: Any, content_type: str) -> Any:
    """``content``: text for JSON and CSV, else bytes. Raises UnsupportedFormatError, ValueError."""
    if content_type == formats.JSON:
        return json.loads(content)
    if content_type == formats.CSV:
        return _rows(content)
    if content_type == formats.NPY:
        return formats.decode(content, content_type)
    if content_type in _IMAGES:
        return {"inputs": importlib.import_module("PIL.Image").open(io.BytesIO(content)).convert("RGB")}
    if content_type in _AUDIO:
        return {"inputs": bytes(content)}
    raise formats.UnsupportedFormatError(content_type)


def encode(content: Any, content_type: str) -> Any:
    """Text for JSON and CSV, else bytes. Raises UnsupportedFormatError, ValueError, TypeError."""
    if content_type == formats.JSON:
        return json.dumps(content, ensure_ascii=False, allow_nan=False, default=_plain, separators=(",", ":"))
    if content_type == formats.CSV:
        rows = content if isinstance(content, list) else list(content)
        stream = io.StringIO()
        writer = csv.DictWriter(stream, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
        return stream.getvalue()
    if content_type == formats.NPY:
        return formats.encode(content, content_type)
    if content_type in _IMAGES:
        return _picture(content, _IMAGES[content_type])
    raise formats.UnsupportedFormatError(content_type)


def _rows(text: str) -> dict[str, Any]:
    if not any(header in text.split("\n", 1)[0].lower() for header in _HEADERS):
        raise ValueError(
            "You need to provide the correct CSV with Header columns to use it with the inference toolkit default "
            "handler."
        )
    rows = list(csv.DictReader(io.StringIO(text)))
    return {"inputs": [row["inputs"] for row in rows] if rows and "inputs" in rows[0] else rows}


def _picture(image: Any, kind: str) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format=kind)
    return stream.getvalue()


def _plain(value: Any) -> Any:
    """Numbers and arrays of numpy, times, pictures."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if hasattr(value, "isoformat"):
        return str(value)
    if hasattr(value, "save"):
        return base64.b64encode(_picture(value, "PNG")).decode()
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")
