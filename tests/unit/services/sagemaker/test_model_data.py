"""The data of models: looked for when the model is created, in every shape it may have."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.services.sagemaker.conftest import BUCKET, SKLEARN, Server, archive
from tests.unit.services.sagemaker.hosting import Hosting

from wildsage.core.errors import ApiError
from wildsage.store.codec import Document

TRUST = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"sagemaker.amazonaws.com"},'
    '"Action":"sts:AssumeRole"}]}'
)


@pytest.fixture
def hosting(server: Server) -> Hosting:
    return Hosting(server)


def source(uri: str, kind: str = "S3Prefix", compression: str = "None") -> Document:
    return {"S3DataSource": {"S3Uri": uri, "S3DataType": kind, "CompressionType": compression}}


async def create(server: Server, name: str, role: str = "", **container: Any) -> None:
    definition = {"Image": SKLEARN, **container}
    await server.call(
        "sagemaker", "CreateModel", ModelName=name, ExecutionRoleArn=role or server.role, PrimaryContainer=definition
    )


@pytest.mark.parametrize(
    "container",
    [
        {"ModelDataUrl": f"s3://{BUCKET}/nowhere.tar.gz"},
        {"ModelDataUrl": "s3://no-such-bucket/model.tar.gz"},
        {"ModelDataUrl": f"https://s3-us-west-2.amazonaws.com/{BUCKET}/nowhere.tar.gz"},
        {"ModelDataSource": source(f"s3://{BUCKET}/nowhere/")},
        {"ModelDataSource": source(f"s3://{BUCKET}/nowhere", "S3Object")},
        {"ModelDataUrl": "s3://no-such-bucket/models/", "Mode": "MultiModel"},
    ],
)
async def test_data_that_is_not_there(server: Server, container: Document) -> None:
    with pytest.raises(ApiError, match="Could not find model data at s3://") as found:
        await create(server, "m", **container)
    assert found.value.code == "ValidationException"
    with pytest.raises(ApiError, match="Could not find model"):
        await server.call("sagemaker", "DescribeModel", ModelName="m")


async def test_data_may_be_named_by_its_https_address(server: Server) -> None:
    await server.put("there.tar.gz", b"bytes")
    url = f"https://{BUCKET}.s3.us-east-1.amazonaws.com/there.tar.gz"
    await create(server, "m", ModelDataUrl=url)
    described = await server.call("sagemaker", "DescribeModel", ModelName="m")
    assert described["PrimaryContainer"]["ModelDataUrl"] == url


async def test_data_that_the_role_may_not_read(server: Server) -> None:
    uri = await server.put("secret/model.tar.gz", b"bytes")
    role = (await server.call("iam", "CreateRole", RoleName="blind", AssumeRolePolicyDocument=TRUST))["Role"]["Arn"]
    many = {"ModelDataUrl": f"s3://{BUCKET}/secret/", "Mode": "MultiModel"}
    for container in ({"ModelDataUrl": uri}, many):
        with pytest.raises(ApiError, match=r'Please ensure that the role "arn:.*/blind" exists') as found:
            await create(server, "m", role, **container)
        assert found.value.code == "ValidationException"
        assert found.value.message.startswith(f"Could not access model data at {container['ModelDataUrl']}. ")


@pytest.mark.parametrize(
    ("container", "words"),
    [
        ({"ModelDataSource": source(f"s3://{BUCKET}/folder")}, "must end with a forward slash"),
        (
            {"ModelDataSource": source(f"s3://{BUCKET}/folder/", compression="Gzip")},
            "only one object can be an archive",
        ),
        ({"ModelDataSource": source(f"s3://{BUCKET}", "S3Object")}, "must have the form s3://bucket/key"),
    ],
)
async def test_data_that_cannot_be(server: Server, container: Document, words: str) -> None:
    with pytest.raises(ApiError, match=words) as found:
        await create(server, "m", **container)
    assert found.value.code == "ValidationException"


async def test_models_that_may_come_later_are_no_error(server: Server) -> None:
    await create(server, "m", ModelDataUrl=f"s3://{BUCKET}/later/", Mode="MultiModel")


LISTS = """
import os

def model_fn(folder):
    return sorted(os.path.relpath(os.path.join(at, name), folder) for at, _, names in os.walk(folder) for name in names)

def transform_fn(model, *_):
    return "[" + ",".join(f'"{name}"' for name in model) + "]", "application/json"
"""


@pytest.mark.parametrize(
    ("name", "data", "files"),
    [
        ("folder", source(f"s3://{BUCKET}/plain/"), ["factor.txt", "factor.txt.old", "weights/a/b"]),
        ("file", source(f"s3://{BUCKET}/plain/factor.txt", "S3Object"), ["factor.txt"]),
    ],
)
async def test_a_model_that_is_not_compressed(hosting: Hosting, name: str, data: Document, files: list[str]) -> None:
    server = hosting.server
    for key in ("factor.txt", "factor.txt.old", "weights/a/b"):
        await server.put(f"plain/{key}", b"3")
    code = await server.put("code.tar.gz", archive({"inference.py": LISTS}))
    variables = {"SAGEMAKER_PROGRAM": "inference.py", "SAGEMAKER_SUBMIT_DIRECTORY": code}
    await create(server, name, ModelDataSource=data, Environment=variables)
    await hosting.config(name)
    await hosting.endpoint(name)
    described = await hosting.until(name, "InService", "Failed")
    assert described["EndpointStatus"] == "InService", described
    assert await hosting.invoke(name, [2]) == files
    await hosting.delete(name)


async def test_objects_that_cannot_both_be_files(hosting: Hosting) -> None:
    for key in ("weights", "weights/part1"):
        await hosting.server.put(f"ambiguous/{key}", b"3")
    await create(hosting.server, "ambiguous", ModelDataSource=source(f"s3://{BUCKET}/ambiguous/"))
    await hosting.config("ambiguous")
    await hosting.endpoint("ambiguous")
    described = await hosting.until("ambiguous", "Failed")
    assert "cannot both be files of the model" in described["FailureReason"]
