"""The Flask application: /ping says whether the model is there, /invocations answers rows of CSV with a line each."""

import csv
import functools
import io
from pathlib import Path

import flask
import joblib

MODEL = Path("/opt/ml/model/decision-tree.joblib")

app = flask.Flask(__name__)


@functools.cache
def model():
    """Loaded once in each worker."""
    return joblib.load(MODEL)


@app.get("/ping")
def ping():
    try:
        model()
    except Exception as error:
        return flask.Response(f"the model cannot be loaded: {error}\n", status=404, mimetype="text/plain")
    return flask.Response("\n", status=200, mimetype="application/json")


@app.post("/invocations")
def invocations():
    if flask.request.mimetype != "text/csv":
        return flask.Response("This predictor only supports CSV data", status=415, mimetype="text/plain")
    try:
        rows = [
            [float(value) for value in row] for row in csv.reader(io.StringIO(flask.request.get_data(as_text=True)))
        ]
        answers = model().predict(rows)
    except ValueError as error:
        return flask.Response(f"These rows cannot be read: {error}\n", status=400, mimetype="text/plain")
    return flask.Response("".join(f"{answer}\n" for answer in answers), status=200, mimetype="text/csv")
