"""SDK v2: MultiDataModel, whose models are added while it serves, and listed."""

import os
import pickle
import sys
import tarfile
import tempfile
from pathlib import Path

import sagemaker
from sagemaker.deserializers import JSONDeserializer
from sagemaker.multidatamodel import MultiDataModel
from sagemaker.serializers import JSONSerializer
from sagemaker.sklearn.model import SKLearnModel

NAME = "multimodel-v2"
SCRIPT = """
import json, os, pickle
def model_fn(folder):
    with open(os.path.join(folder, "model.pkl"), "rb") as file:
        return pickle.load(file)
def input_fn(body, content_type): return json.loads(body)
def predict_fn(data, model): return [each * model for each in data]
def output_fn(prediction, accept): return json.dumps(prediction)
"""


def packed(folder, name, factor):
    (folder / "model.pkl").write_bytes(pickle.dumps(factor))
    with tarfile.open(folder / name, "w:gz") as archive:
        archive.add(folder / "model.pkl", "model.pkl")
    return str(folder / name)


folder = Path(tempfile.mkdtemp())
(folder / "serve.py").write_text(SCRIPT)
session = sagemaker.Session()
role = os.environ["WILDSAGE_ROLE"]
prefix = f"s3://{session.default_bucket()}/{NAME}/{sys.argv[2]}"
first = session.upload_data(packed(folder, "first.tar.gz", 2), key_prefix="trained")
model = SKLearnModel(first, role, str(folder / "serve.py"), framework_version="1.2-1", sagemaker_session=session)
many = MultiDataModel(NAME, prefix, model=model, sagemaker_session=session)
predictor = many.deploy(1, "ml.m5.large", serializer=JSONSerializer(), deserializer=JSONDeserializer(), wait=False)
waiter = session.sagemaker_client.get_waiter("endpoint_in_service")
waiter.wait(EndpointName=NAME, WaiterConfig={"Delay": 1})
assert list(many.list_models()) == []
many.add_model(first, "first.tar.gz")
assert predictor.predict([1, 2], target_model="first.tar.gz") == [2, 4]
many.add_model(packed(folder, "second.tar.gz", 3))
listed = sorted(many.list_models())
assert len(listed) == 2, listed
answers = [predictor.predict([1, 2], target_model=each) for each in listed]
assert answers == [[2, 4], [3, 6]], answers
predictor.delete_endpoint()
print("multimodel: all done")
