"""What the instances of a job reach on a real server: its S3 as their role, and the time it takes them to start."""

from __future__ import annotations

import os
import time
import uuid

import pytest
from tests.api.sagemaker.conftest import BUCKET, Account, until

PUTS = """
import os, boto3
me = os.environ["SM_CURRENT_HOST"]
boto3.client("s3").put_object(Bucket=os.environ["BUCKET"], Key=f"{os.environ['PREFIX']}/{me}", Body=bytes(3 << 20))
print("arn", boto3.client("sts", endpoint_url=os.environ["AWS_ENDPOINT_URL"]).get_caller_identity()["Arn"])
"""


def several(count: int) -> dict[str, object]:
    return {"InstanceType": "ml.m5.large", "InstanceCount": count, "VolumeSizeInGB": 1}


@pytest.mark.parametrize("encrypted", [False, True])
def test_every_instance_reaches_the_server_as_its_role(account: Account, encrypted: bool) -> None:
    prefix = f"several/{uuid.uuid4().hex}"
    name = account.train(
        PUTS,
        ResourceConfig=several(2),
        Environment={"BUCKET": BUCKET, "PREFIX": prefix},
        EnableInterContainerTrafficEncryption=encrypted,
    )
    job = account.trained(name)
    if encrypted and "/dev/net/tun" in job.get("FailureReason", ""):
        assert not os.access("/dev/net/tun", os.R_OK | os.W_OK)
        pytest.skip("traffic is encrypted by way of /dev/net/tun")
    assert job.get("FailureReason") is None
    found = account.s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix)["Contents"]
    assert [(each["Key"], each["Size"]) for each in found] == [
        (f"{prefix}/algo-1", 3 << 20),
        (f"{prefix}/algo-2", 3 << 20),
    ]


def test_four_instances_begin_soon(account: Account) -> None:
    """The bar is 1.5 s on a quiet machine; this one may be anything but."""
    begun = time.time()
    name = account.train("import time; print('began', time.time(), flush=True)", ResourceConfig=several(4))

    def began() -> list[float]:
        streams = account.logs.describe_log_streams(
            logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix=f"{name}/"
        )
        times = []
        for stream in streams["logStreams"]:
            events = account.logs.get_log_events(
                logGroupName="/aws/sagemaker/TrainingJobs", logStreamName=stream["logStreamName"]
            )["events"]
            times += [float(each["message"].split()[1]) for each in events if each["message"].startswith("began ")]
        return times if len(times) == 4 else []

    assert account.trained(name).get("FailureReason") is None
    took = max(until(began)) - begun
    print(f"four instances: {took:.2f} s")
    assert took < 60
