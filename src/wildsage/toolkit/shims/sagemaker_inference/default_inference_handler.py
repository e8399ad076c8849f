"""What the toolkit does where a script is silent, to derive from or to call."""

from __future__ import annotations

from typing import Any

from . import decoder, encoder, errors

_MISSING = (
    "\nPlease provide a {0} implementation.\nSee documentation for {0} at https://sagemaker.readthedocs.io/en/stable/\n"
)


class DefaultInferenceHandler:
    """The four functions of an inference script."""

    def default_model_fn(self, model_dir: str, context: Any = None) -> Any:
        raise NotImplementedError(_MISSING.format("model_fn"))

    def default_input_fn(self, input_data: Any, content_type: str, context: Any = None) -> Any:
        return decoder.decode(input_data, content_type)

    def default_predict_fn(self, data: Any, model: Any, context: Any = None) -> Any:
        raise NotImplementedError(_MISSING.format("predict_fn"))

    def default_output_fn(self, prediction: Any, accept: str, context: Any = None) -> Any:
        for content_type in accept.replace(" ", "").split(","):
            if content_type in encoder.SUPPORTED_CONTENT_TYPES:
                return encoder.encode(prediction, content_type), content_type
        raise errors.UnsupportedFormatError(accept)
