"""The last container: XGBoost's probabilities in, names of cultivars out."""

import csv
import io
import json
from pathlib import Path


def model_fn(model_dir):
    return json.loads((Path(model_dir) / "names.json").read_text())


def input_fn(body, content_type):
    """XGBoost says ``text/csv; charset=utf-8``; the image hands on as text what is ``text/csv`` alone."""
    text = body if isinstance(body, str) else body.decode()
    if content_type.startswith("text/csv"):
        return [[float(cell) for cell in row] for row in csv.reader(io.StringIO(text)) if row]
    return json.loads(text)


def predict_fn(rows, names):
    best = [max(range(len(names)), key=row.__getitem__) for row in rows]
    return [
        {"cultivar": names[number], "probability": round(row[number], 4)}
        for row, number in zip(rows, best, strict=True)
    ]


def output_fn(found, accept):
    """JSON, or a line for each wine where the caller accepts text/csv."""
    if accept == "text/csv":
        return "".join(f"{each['cultivar']},{each['probability']}\n" for each in found), accept
    return json.dumps(found), "application/json"
