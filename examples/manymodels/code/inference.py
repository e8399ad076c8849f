"""How likely the images of a request are the digit of the model that is asked."""

import json
import pickle
from pathlib import Path


def model_fn(folder):
    return pickle.loads((Path(folder) / "model.pkl").read_bytes())


def input_fn(body, content_type):
    return json.loads(body)


def predict_fn(images, detector):
    return detector.predict_proba(images)[:, 1].tolist()


def output_fn(chances, accept):
    return json.dumps(chances)
