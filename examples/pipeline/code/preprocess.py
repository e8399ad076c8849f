"""The first container: measurements of wines in, the numbers that XGBoost was trained on out."""

import csv
import io
import json
from pathlib import Path

import joblib
import numpy as np


def model_fn(model_dir):
    return joblib.load(Path(model_dir) / "scaling.joblib")


def input_fn(body, content_type):
    """Rows of numbers; what was not measured is empty (CSV) or null (JSON)."""
    if content_type == "text/csv":
        rows = [[float(cell) if cell else None for cell in row] for row in csv.reader(io.StringIO(body)) if row]
    elif content_type == "application/json":
        rows = json.loads(body)
    else:
        raise ValueError(f"{content_type} is neither text/csv nor application/json")
    return np.array(rows, dtype=float)


def predict_fn(rows, scaling):
    return scaling.transform(rows)
