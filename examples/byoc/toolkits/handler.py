"""What AWS's inference toolkit calls: it loads a decision tree, and answers rows of CSV with a line each."""

import csv
import io
from pathlib import Path

import joblib
from sagemaker_inference import content_types, default_inference_handler
from sagemaker_inference.default_handler_service import DefaultHandlerService
from sagemaker_inference.transformer import Transformer


class Trees(default_inference_handler.DefaultInferenceHandler):
    """The four functions of a handler."""

    def default_model_fn(self, model_dir, context=None):
        return joblib.load(Path(model_dir) / "decision-tree.joblib")

    def default_input_fn(self, input_data, content_type, context=None):
        if content_type != content_types.CSV:
            raise ValueError(f"This handler reads {content_types.CSV} only, not {content_type}")
        text = input_data if isinstance(input_data, str) else bytes(input_data).decode()
        return [[float(value) for value in row] for row in csv.reader(io.StringIO(text))]

    def default_predict_fn(self, data, model, context=None):
        return model.predict(data)

    def default_output_fn(self, prediction, accept, context=None):
        return "".join(f"{answer}\n" for answer in prediction), content_types.CSV


_service = DefaultHandlerService(transformer=Transformer(default_inference_handler=Trees()))


def handle(data, context):
    """What the model server calls: without data once for each worker and model, so that the model is loaded."""
    if data is None:
        _service.initialize(context)
        return None
    return _service.handle(data, context)
