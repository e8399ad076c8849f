"""aws/sagemaker-pytorch-inference-toolkit: ``default_pytorch_inference_handler.py``."""

from __future__ import annotations

import importlib
import os
from types import ModuleType
from typing import Any

from .. import formats, toolkits
from ..http import Handle


class ModelLoadError(Exception):
    """A file that is no TorchScript."""


def load(script: ModuleType | None, model_dir: str) -> Handle:
    """Without a model_fn, the one TorchScript file of the model folder is loaded."""
    return toolkits.inference(script, toolkits.Functions(_model_fn, _input_fn, _predict_fn, _output_fn), model_dir)


def _torch() -> Any:
    return importlib.import_module("torch")


def _device() -> Any:
    torch = _torch()
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _model_fn(model_dir: str) -> Any:
    path = os.path.join(model_dir, "model.pt")
    if not os.path.exists(path):
        files = [name for name in os.listdir(model_dir) if os.path.splitext(name)[1] in (".pt", ".pth")]
        if len(files) != 1:
            raise ValueError(f"Exactly one .pth or .pt file is required for PyTorch models: {files}")
        path = os.path.join(model_dir, files[0])
    try:
        return _torch().jit.load(path, map_location=_device())
    except RuntimeError as error:
        raise ModelLoadError(f"Failed to load {path}. Please ensure model is saved using torchscript.") from error


def _input_fn(data: Any, content_type: str) -> Any:
    torch = _torch()
    array = formats.decode_plain(data, content_type)
    tensor = torch.FloatTensor(array) if content_type in formats.UTF8 else torch.from_numpy(array)
    return tensor.to(_device())


def _predict_fn(data: Any, model: Any) -> Any:
    torch = _torch()
    with torch.no_grad():
        device = _device()
        model = model.to(device)
        model.eval()
        return model(data.to(device))


def _output_fn(prediction: Any, accept: str) -> tuple[bytes, str]:
    if isinstance(prediction, _torch().Tensor):
        prediction = prediction.detach().cpu().numpy().tolist()
    for content_type in accept.replace(" ", "").split(","):
        if content_type in (formats.JSON, formats.CSV, formats.NPY):
            return formats.encode_plain(prediction, content_type), content_type
    raise formats.UnsupportedFormatError(accept)
