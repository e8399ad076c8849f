"""Text generation: a small GPT learns from this project's own documentation and is served serverless, streamed.

    wildsage run -- python examples/generation/deploy.py [--steps N]

1. A training job (code/gpt.py) learns to write, character by character.
2. The model is deployed serverless: at rest there is no worker, and the first request forks one of the loaded model.
3. InvokeEndpointWithResponseStream prints what it writes as it writes.
"""

import argparse
import json
import time
from pathlib import Path

import boto3
import sagemaker
from sagemaker.pytorch import PyTorch
from sagemaker.serverless import ServerlessInferenceConfig

HERE = Path(__file__).parent


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=250)
    steps = parser.parse_known_args()[0].steps
    session, role = sagemaker.Session(), sagemaker.get_execution_role()
    text = session.upload_data(str(HERE.parent.parent / "docs" / "design"), key_prefix="generation/text")
    estimator = PyTorch(
        entry_point="gpt.py",
        source_dir=str(HERE / "code"),
        role=role,
        framework_version="2.1",
        py_version="py310",
        instance_count=1,
        instance_type="ml.c5.xlarge",
        hyperparameters={"steps": steps},
        sagemaker_session=session,
    )
    estimator.fit({"train": text})
    predictor = estimator.deploy(serverless_inference_config=ServerlessInferenceConfig(1024, 2))
    began = time.perf_counter()
    answer = boto3.client("sagemaker-runtime").invoke_endpoint_with_response_stream(
        EndpointName=predictor.endpoint_name,
        ContentType="application/json",
        Body=json.dumps({"prompt": "A request ", "characters": 200}),
    )
    pieces = []
    for event in answer["Body"]:
        pieces.append((time.perf_counter() - began, event["PayloadPart"]["Bytes"].decode()))
        print(pieces[-1][1], end="", flush=True)
    first, last = pieces[0][0], pieces[-1][0]
    letters = sum(len(piece) for _, piece in pieces)
    print(f"\n{letters} characters in {len(pieces)} pieces, the first after {first:.2f} s, the last after {last:.2f} s")
    predictor.delete_model()
    predictor.delete_endpoint()


if __name__ == "__main__":
    main()
