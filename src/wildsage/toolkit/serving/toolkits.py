"""model_fn, input_fn, predict_fn, output_fn and transform_fn put together as AWS's two serving toolkits do.

*containers* is aws/sagemaker-containers (the scikit-learn and XGBoost images): a Flask application, whose errors are
Flask's.  *inference* is aws/sagemaker-inference-toolkit (PyTorch): errors carry the traceback, functions may ask for
the context as one more argument.
"""

from __future__ import annotations

import inspect
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from itertools import chain
from types import ModuleType
from typing import Any, NamedTuple

from . import formats
from .http import Answer, Handle, Request

Function = Callable[..., Any]

_FLASK_500 = (
    '<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 3.2 Final//EN">\n<title>500 Internal Server Error</title>\n'
    "<h1>Internal Server Error</h1>\n<p>The server encountered an internal error and was unable to complete your "
    "request. Either the server is overloaded or there is an error in the application.</p>\n"
)
_NO_MODEL_FN = (
    "\nPlease provide a model_fn implementation.\n"
    "See documentation for model_fn at https://github.com/aws/sagemaker-python-sdk\n"
)


class Functions(NamedTuple):
    """What a framework does where the script is silent; signatures are AWS's."""

    model_fn: Function
    input_fn: Function
    predict_fn: Function
    output_fn: Function


class Context:
    """What the inference toolkit hands to functions with one more argument."""

    def __init__(self, model_dir: str) -> None:
        self.system_properties = {"model_dir": model_dir, "gpu_id": None}
        self.headers: dict[str, str] = {}

    def get_request_header(self, index: int, name: str) -> str | None:
        return self.headers.get(name.lower())

    def get_all_request_header(self, index: int) -> dict[str, str]:
        return dict(self.headers)


def missing_model_fn(model_dir: str) -> Any:
    """For the images whose default is to have none."""
    raise NotImplementedError(_NO_MODEL_FN)


def containers(script: ModuleType | None, defaults: Functions, model_dir: str) -> Handle:
    """Loads the model; raises whatever model_fn raises."""
    functions, transform_fn = _choose(script, defaults)
    model = functions.model_fn(model_dir)
    accept_default = os.environ.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", formats.JSON)
    _, input_fn, predict_fn, output_fn = functions

    def transform(model: Any, content: Any, content_type: str, accept: str) -> Any:
        try:
            data = input_fn(content, content_type)
        except Exception as error:
            if type(error).__name__ == "UnsupportedFormatError":
                return _refused(error, 415)
            raise
        prediction = predict_fn(data, model)
        try:
            return output_fn(prediction, accept)
        except Exception as error:
            if type(error).__name__ == "UnsupportedFormatError":
                return _refused(error, 406)
            raise

    run = transform_fn or transform

    def handle(request: Request) -> Answer:
        headers = request.headers
        content_type = headers.get("content-type") or formats.JSON
        accept = headers.get("accept")
        if not accept or accept == formats.ANY:
            accept = accept_default
        try:
            content: Any = request.body.decode() if content_type in formats.UTF8 else request.body
            return _flask(run(model, content, content_type, accept))
        except Exception:
            traceback.print_exc()
            return Answer(500, "text/html; charset=utf-8", _FLASK_500.encode())

    return handle


def with_traceback(error: Exception) -> Answer:
    """How PyTorch's image answers where the script raises; called while ``error`` is handled."""
    trace = traceback.format_exc()
    print(trace, file=sys.stderr, end="", flush=True)
    message = getattr(error, "message", None) or str(error) or "Invalid Request"
    return Answer(int(getattr(error, "status_code", 500)), "text/plain", f"{message}\n{trace}".encode())


def inference(
    script: ModuleType | None,
    defaults: Functions,
    model_dir: str,
    fault: Callable[[Exception], Answer] = with_traceback,
) -> Handle:
    """Loads the model; raises whatever model_fn raises. ``fault``: the answer where the others raise."""
    functions, transform_fn = _choose(script, defaults)
    context = Context(model_dir)
    model_fn = _with_context(functions.model_fn, 1, context)
    input_fn = _with_context(functions.input_fn, 2, context)
    predict_fn = _with_context(functions.predict_fn, 2, context)
    output_fn = _with_context(functions.output_fn, 2, context)
    model = model_fn(model_dir)
    accept_default = os.environ.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", formats.JSON)

    def transform(model: Any, content: Any, content_type: str, accept: str) -> Any:
        return output_fn(predict_fn(input_fn(content, content_type), model), accept)

    run = transform if transform_fn is None else _with_context(transform_fn, 4, context)

    def handle(request: Request) -> Answer:
        context.headers = headers = request.headers
        content_type = headers.get("content-type") or ""
        accept = headers.get("accept")
        if not accept or accept == formats.ANY:
            accept = accept_default
        try:
            content: Any = request.body.decode() if content_type in formats.UTF8 else request.body
            result = run(model, content, content_type, accept)
            if isinstance(result, tuple):
                return Answer(200, str(result[1]), _body(result[0]))
            return Answer(200, accept, _body(result))
        except Exception as error:
            return fault(error)

    return handle


def _choose(script: ModuleType | None, defaults: Functions) -> tuple[Functions, Function | None]:
    transform_fn = getattr(script, "transform_fn", None)
    own = [getattr(script, name, None) for name in Functions._fields]
    if transform_fn is not None and any(own[1:]):
        raise ValueError("Cannot use transform_fn implementation with input_fn, predict_fn, and/or output_fn")
    chosen = Functions(*(mine or default for mine, default in zip(own, defaults)))  # noqa: B905 - Python 3.9
    return chosen, transform_fn


def _with_context(function: Function, count: int, context: Context) -> Function:
    """``function`` called with ``count`` arguments, and the context if it takes one more."""
    takes = len(inspect.signature(function).parameters)
    if takes == count:
        return function
    if takes == count + 1:
        return lambda *given: function(*given, context)
    raise TypeError(f"{function.__name__} takes {takes} arguments but {count} were given.")


def _flask(result: Any) -> Answer:
    """What Flask makes of a result: (body, mimetype), a response object, or a body."""
    if isinstance(result, Answer):
        return result
    if isinstance(result, tuple):
        return Answer(200, _charset(str(result[1])), _body(result[0]))
    if hasattr(result, "get_data") and hasattr(result, "status_code"):
        return Answer(int(result.status_code), str(result.content_type), result.get_data())
    return Answer(200, formats.JSON, _body(result))


def _charset(mimetype: str) -> str:
    return f"{mimetype}; charset=utf-8" if mimetype.startswith("text/") and ";" not in mimetype else mimetype


def _body(value: Any) -> Any:
    """The bytes of an answer; of a generator its pieces, the first made now, so that an early error has a status."""
    if not isinstance(value, Iterator):
        return _bytes(value)
    pieces = map(_bytes, value)
    return chain([next(pieces, b"")], pieces)


def _bytes(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    raise TypeError(f"the answer must be str or bytes, not {type(value).__name__}; encode it in output_fn")


def _refused(error: Exception, status: int) -> Answer:
    body = {"error": type(error).__name__, "error-message": str(error), "stack-trace": traceback.format_exc()}
    return Answer(status, formats.JSON, json.dumps(body).encode())
