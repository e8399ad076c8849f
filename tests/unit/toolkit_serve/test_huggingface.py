"""The Hugging Face image's defaults, on a tiny model with random weights that is made here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.unit.toolkit_serve.served import serving
from tests.unit.toolkit_serve.tiny import classifier

from wildsage.wire.http.messages import Response

_OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
_SCRIPT = """
from sagemaker_huggingface_inference_toolkit import decoder_encoder

def input_fn(body, content_type):
    return {"inputs": decoder_encoder.decode(body, content_type)["text"]}

def output_fn(prediction, accept):
    return decoder_encoder.encode({"answers": len(prediction)}, accept)
"""


def body_of(response: Response) -> bytes:
    assert isinstance(response.body, bytes)
    return response.body


async def test_the_pipeline_of_the_architecture(tmp_path: Path) -> None:
    classifier(tmp_path / "model")
    async with serving(tmp_path, "huggingface", None, **_OFFLINE) as served:
        answer = await served.invoke(json.dumps({"inputs": "a good film"}).encode(), "application/json")
        assert answer.header("content-type") == "application/json"
        (found,) = json.loads(body_of(answer))
        assert found["label"] in ("up", "down") and 0.4 < found["score"] < 1
        both = {"inputs": ["a good film", "bad"], "parameters": {"top_k": 2}}
        answers = json.loads(body_of(await served.invoke(json.dumps(both).encode(), "application/json")))
        assert [{each["label"] for each in labels} for labels in answers] == [{"up", "down"}] * 2
        answer = await served.invoke(b"inputs\na good film\nbad\n", "text/csv", "text/csv")
        assert body_of(answer).startswith(b"label,score")
        # As multi-model-server answers.
        answer = await served.invoke(b"a good film\n", "text/csv")
        said = json.loads(body_of(answer))
        assert (answer.status, said["code"], said["type"]) == (400, 400, "InternalServerException")
        assert said["message"].startswith("You need to provide the correct CSV with Header columns")
        assert (await served.invoke(b"x", "text/html")).status == 400


async def test_a_script_in_its_place(tmp_path: Path) -> None:
    classifier(tmp_path / "model")
    shims = {"PYTHONPATH": str(Path(__file__).parents[3] / "src" / "wildsage" / "toolkit" / "shims")}
    async with serving(tmp_path, "huggingface", _SCRIPT, HF_TASK="text-classification", **_OFFLINE, **shims) as served:
        answer = await served.invoke(json.dumps({"text": ["a good film", "bad"]}).encode(), "application/json")
        assert body_of(answer) == b'{"answers":2}'


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"HF_MODEL_ID": "distilbert/distilbert-base-uncased"}, "not on this machine and cannot be fetched"),
        ({}, "Set HF_TASK to the model's task"),
    ],
)
async def test_models_that_are_not_there(tmp_path: Path, variables: dict[str, str], words: str) -> None:
    (tmp_path / "model").mkdir()
    with pytest.raises(AssertionError, match=words):
        async with serving(tmp_path, "huggingface", None, HOME=str(tmp_path), **_OFFLINE, **variables):
            pass
