"""aws/sagemaker-huggingface-inference-toolkit: ``handler_service.py`` and ``transformers_utils.py``."""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from types import ModuleType
from typing import Any

from .. import documents, formats, toolkits
from ..http import Answer, Handle
from ..supervisor import log

# The end of an architecture's name → its task; the last that fits counts.
_TASKS = {
    "TapasForQuestionAnswering": "table-question-answering",
    "ForQuestionAnswering": "question-answering",
    "ForTokenClassification": "token-classification",
    "ForSequenceClassification": "text-classification",
    "ForMultipleChoice": "multiple-choice",
    "ForMaskedLM": "fill-mask",
    "ForCausalLM": "text-generation",
    "ForConditionalGeneration": "text2text-generation",
    "MTModel": "text2text-generation",
    "EncoderDecoderModel": "text2text-generation",
    "GPT2LMHeadModel": "text-generation",
    "T5WithLMHeadModel": "text2text-generation",
}


class ModelNotAtHand(Exception):
    """HF_MODEL_ID names a model that is neither here nor to be had."""


def load(script: ModuleType | None, model_dir: str) -> Handle:
    """Without a model_fn, the pipeline of HF_TASK (or of the model's architecture) on its folder or HF_MODEL_ID."""
    functions = toolkits.Functions(_model_fn, documents.decode, _predict_fn, documents.encode)
    return toolkits.inference(script, functions, model_dir, _answer)


def _model_fn(model_dir: str) -> Any:
    named = os.environ.get("HF_MODEL_ID", "")
    folder = _fetched(named) if named else model_dir
    task = os.environ.get("HF_TASK") or _task(folder)
    transformers = importlib.import_module("transformers")
    trusted = os.environ.get("HF_TRUST_REMOTE_CODE", "").lower() in ("1", "true", "yes", "on", "y", "t")
    try:
        return transformers.pipeline(task=task, model=folder, device=_device(), trust_remote_code=trusted)
    except KeyError as error:
        raise ValueError(
            f"transformers {transformers.__version__} has no pipeline for HF_TASK={task}. Newer versions gave some up: "
            f"write a model_fn and predict_fn, or set WILDSAGE_PYTHON_HUGGINGFACE to an interpreter with an older one. "
            f"{error}"
        ) from error


def _device() -> Any:
    try:
        torch = importlib.import_module("torch")
    except ImportError:
        return -1
    return 0 if torch.cuda.is_available() else -1


def _task(folder: str) -> str:
    path = os.path.join(folder, "config.json")
    if not os.path.exists(path):
        raise ValueError(
            f"Set HF_TASK to the model's task, such as one of {', '.join(sorted(set(_TASKS.values())))}, or put the "
            f"model's config.json at the top of model.tar.gz; there is {sorted(os.listdir(folder))}."
        )
    with open(path, encoding="utf-8") as file:
        architecture = (json.load(file).get("architectures") or [""])[0]
    fitting = [task for end, task in _TASKS.items() if architecture.endswith(end)]
    if not fitting:
        raise ValueError(f"Task couldn't be inferenced from {architecture}. Use env `HF_TASK` to define your task.")
    return fitting[-1]


def _fetched(name: str) -> str:
    """The folder of a model of the hub; raises ModelNotAtHand."""
    if os.path.isdir(name):
        return name
    log(f"HF_MODEL_ID: fetching {name} from the Hugging Face Hub")
    revision = os.environ.get("HF_MODEL_REVISION") or None
    try:
        hub = importlib.import_module("huggingface_hub")
        return str(hub.snapshot_download(name, revision=revision, token=os.environ.get("HF_API_TOKEN") or None))
    except Exception as error:
        raise ModelNotAtHand(
            f"HF_MODEL_ID names {name}, which is not on this machine and cannot be fetched from the Hugging Face Hub "
            f"({type(error).__name__}). Without the hub, put the model's files into a model.tar.gz, give it as the "
            "model's data (model_data, ModelDataUrl), and unset HF_MODEL_ID."
        ) from error


def _predict_fn(data: Any, model: Any) -> Any:
    inputs = data.pop("inputs", data)
    parameters = data.pop("parameters", None) or {}
    return model(inputs, **parameters)


def _answer(error: Exception) -> Answer:
    """What multi-model-server makes of a PredictionException, which AWS's handler makes of everything."""
    print(traceback.format_exc(), file=sys.stderr, end="", flush=True)
    body = {"code": 400, "type": "InternalServerException", "message": str(error)}
    return Answer(400, formats.JSON, json.dumps(body, indent=2).encode())
