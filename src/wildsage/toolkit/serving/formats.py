"""The content types that AWS's serving toolkits read and write; numpy is the user's.

Sources: aws/sagemaker-containers ``_encoders.py`` (scikit-learn, XGBoost) and aws/sagemaker-inference-toolkit
``decoder.py`` and ``encoder.py`` (PyTorch), whose CSV differ.
"""

from __future__ import annotations

import csv
import importlib
import io
import json
from typing import Any

JSON, CSV, NPY, NPZ, ANY = "application/json", "text/csv", "application/x-npy", "application/x-npz", "*/*"
UTF8 = (JSON, CSV)
_LARGE = 4096  # below, the quick way to read CSV is none
_QUICK_LOADTXT = (1, 23)
_UNUSUAL = ('"', "\r", "x", "X", "_", "\n\n")


class UnsupportedFormatError(Exception):
    """A content type that the framework cannot read or write; the words are AWS's."""

    def __init__(self, content_type: str) -> None:
        super().__init__(
            f"Content type {content_type} is not supported by this framework.\n\n"
            "Please implement input_fn to to deserialize the request data or an output_fn to\n"
            "serialize the response. For more information, see the SageMaker Python SDK README."
        )


def decode(data: Any, content_type: str) -> Any:
    """A numpy array (or scipy matrix) of ``data``, which is text for the types in UTF8, else bytes."""
    numpy = importlib.import_module("numpy")
    if content_type == JSON:
        return numpy.array(json.loads(data))
    if content_type == CSV:
        numbers = _numbers(numpy, data) if len(data) >= _LARGE else None
        if numbers is not None:
            return numbers.squeeze()
        rows = list(csv.reader(io.StringIO(data), delimiter=",", quotechar='"', doublequote=True, strict=True))
        return numpy.array(rows).squeeze().astype(None)
    if content_type == NPY:
        return numpy.load(io.BytesIO(data), allow_pickle=True)
    if content_type == NPZ:
        return importlib.import_module("scipy.sparse").load_npz(io.BytesIO(data))
    raise UnsupportedFormatError(content_type)


def _numbers(numpy: Any, text: str) -> Any:
    """What the csv module and ``astype`` make of plain rows of numbers, ten times as fast; None where they must look.

    They differ on quotes, other line ends, empty lines, hexadecimal numbers; older versions of loadtxt are no faster.
    """
    if tuple(map(int, numpy.__version__.split(".")[:2])) < _QUICK_LOADTXT:
        return None
    if any(each in text for each in _UNUSUAL) or text.startswith("\n"):
        return None
    try:
        return numpy.loadtxt(io.StringIO(text), delimiter=",", ndmin=2, comments=None)
    except ValueError:
        return None


def decode_plain(data: Any, content_type: str) -> Any:
    """As the inference toolkit does it: CSV through ``genfromtxt``."""
    if content_type == CSV:
        return importlib.import_module("numpy").genfromtxt(io.StringIO(data), dtype=None, delimiter=",")
    return decode(data, content_type)


def encode(value: Any, content_type: str) -> bytes:
    """An array-like as sagemaker-containers writes it: CSV of one dimension has a line for each element."""
    if content_type == CSV:
        numpy = importlib.import_module("numpy")
        array = numpy.array(value)
        if array.ndim == 1:
            array = array.reshape(-1, 1)
        stream = io.StringIO()
        csv.writer(stream, lineterminator="\n", delimiter=",", quotechar='"', doublequote=True, strict=True).writerows(
            # Python's own numbers are written alike, and faster; those of other widths have other digits.
            array.tolist() if array.dtype.kind in "iub" or array.dtype == numpy.float64 else array
        )
        return stream.getvalue().encode()
    return _encode(value, content_type)


def encode_plain(value: Any, content_type: str) -> bytes:
    """As the inference toolkit does it: CSV through ``savetxt``."""
    if content_type == CSV:
        stream = io.StringIO()
        importlib.import_module("numpy").savetxt(stream, value, delimiter=",", fmt="%s")
        return stream.getvalue().encode()
    return _encode(value, content_type)


def _encode(value: Any, content_type: str) -> bytes:
    if content_type == JSON:
        return json.dumps(value, default=_listed).encode()
    if content_type == NPY:
        stream = io.BytesIO()
        importlib.import_module("numpy").save(stream, value)
        return stream.getvalue()
    raise UnsupportedFormatError(content_type)


def _listed(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")
