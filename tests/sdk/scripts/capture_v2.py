"""SDK v2: DataCaptureConfig at deployment, switched off and on again by the predictor."""

import functools
import json
import sys
import time

import sagemaker
from sagemaker.model_monitor import DataCaptureConfig
from sagemaker.predictor import Predictor
from sagemaker.s3 import S3Downloader
from sagemaker.serializers import JSONSerializer
from sagemaker.session import production_variant

(model,) = sys.argv[2:]
NAME = "capture-v2"

session = sagemaker.Session()
session.wait_for_endpoint = functools.partial(session.wait_for_endpoint, poll=1)  # it looks once in thirty seconds
capture = DataCaptureConfig(enable_capture=True, sampling_percentage=100, sagemaker_session=session)


def in_service():
    """As the SDK waits, which looks once in thirty seconds."""
    waiter = session.sagemaker_client.get_waiter("endpoint_in_service")
    waiter.wait(EndpointName=NAME, WaiterConfig={"Delay": 1})


def records(count):
    """What lies in S3, once there is as much."""
    deadline = time.monotonic() + 120
    while True:
        files = S3Downloader.list(f"{capture.destination_s3_uri}/{NAME}", sagemaker_session=session)
        found = [line for file in files for line in S3Downloader.read_file(file, session).splitlines()]
        if len(found) >= count:
            return [json.loads(line) for line in found]
        assert time.monotonic() < deadline, files
        time.sleep(1)


session.endpoint_from_production_variants(
    NAME, [production_variant(model, "ml.m5.large")], data_capture_config_dict=capture._to_request_dict(), wait=False
)
in_service()
predictor = Predictor(NAME, session, serializer=JSONSerializer())
predictor.predict([1])
(record,) = records(1)
assert record["captureData"]["endpointInput"]["data"] == "[1]", record
assert record["captureData"]["endpointInput"]["encoding"] == "JSON", record
predictor.disable_data_capture()
in_service()
predictor.predict([2])
summary = session.sagemaker_client.describe_endpoint(EndpointName=NAME)["DataCaptureConfig"]
assert (summary["EnableCapture"], summary["CaptureStatus"]) == (False, "Stopped"), summary
predictor.update_data_capture_config(capture)  # enable_data_capture would sample a fifth
in_service()
predictor.predict([3])
data = sorted(each["captureData"]["endpointInput"]["data"] for each in records(2))
assert data == ["[1]", "[3]"], data
predictor.delete_endpoint()
print("capture: all done")
