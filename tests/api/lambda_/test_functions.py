"""The life of a function, through boto3: created, found, listed, changed, deleted; and what is refused."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import struct
import uuid
import zipfile
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.api.lambda_.functions import Functions, zipped
from tests.conftest import Server

TEXT = "def handler(event, context): return 'first'"


def refused(call: Any, code: str, words: str, **asked: Any) -> None:
    with pytest.raises(ClientError) as caught:
        call(**asked)
    error = caught.value.response["Error"]
    assert error["Code"] == code, error
    assert words in error["Message"], error


def test_create_describes_the_function_and_it_becomes_active(functions: Functions) -> None:
    content, name = zipped(main=TEXT), f"f-{uuid.uuid4().hex[:12]}"
    answer = functions.client.create_function(
        FunctionName=name,
        Runtime="python3.12",
        Role=functions.role,
        Handler="main.handler",
        Code={"ZipFile": content},
        Description="says first",
        Environment={"Variables": {"WHO": "me"}},
        Tags={"team": "a"},
    )
    functions.made.append(name)
    assert answer["State"] == "Pending"
    functions.client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
    functions.wait(name)
    found = functions.client.get_function(FunctionName=name)
    described = found["Configuration"]
    assert described["State"] == "Active"
    assert described["LastUpdateStatus"] == "Successful"
    assert described["FunctionArn"].endswith(f":function:{name}")
    assert described["CodeSha256"] == base64.b64encode(hashlib.sha256(content).digest()).decode()
    assert described["CodeSize"] == len(content)
    assert (described["Timeout"], described["MemorySize"], described["Version"]) == (3, 128, "$LATEST")
    assert described["Environment"] == {"Variables": {"WHO": "me"}}
    assert described["LoggingConfig"] == {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{name}"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000", described["LastModified"])
    assert found["Tags"] == {"team": "a"}
    by_arn = functions.client.get_function_configuration(FunctionName=described["FunctionArn"], Qualifier="$LATEST")
    assert by_arn["RevisionId"] == described["RevisionId"]
    assert by_arn["FunctionArn"] == described["FunctionArn"] + ":$LATEST"


def test_list_pages_by_name(functions: Functions) -> None:
    names = {functions.create(TEXT) for _ in range(3)}
    found: list[str] = []
    marker: dict[str, str] = {}
    while True:
        page = functions.client.list_functions(MaxItems=2, **marker)
        assert len(page["Functions"]) <= 2
        found += [each["FunctionName"] for each in page["Functions"]]
        if "NextMarker" not in page:
            break
        marker = {"Marker": page["NextMarker"]}
    assert names <= set(found)
    assert found == sorted(found)
    refused(functions.client.list_functions, "InvalidParameterValueException", "pagination token", Marker="nonsense")


def test_changes_take_effect(functions: Functions) -> None:
    name = functions.create(TEXT)
    assert functions.invoke(name).payload == "first"
    before = functions.client.get_function_configuration(FunctionName=name)
    functions.client.update_function_code(
        FunctionName=name, ZipFile=zipped(other="import os\ndef run(e, c): return os.environ['XX']")
    )
    functions.wait(name)
    assert functions.invoke(name).payload["errorType"] == "Runtime.ImportModuleError"
    functions.client.update_function_configuration(
        FunctionName=name, Handler="other.run", Environment={"Variables": {"XX": "seen"}}, Timeout=9, MemorySize=256
    )
    functions.wait(name)
    assert functions.invoke(name).payload == "seen"
    after = functions.client.get_function_configuration(FunctionName=name)
    assert (after["Timeout"], after["MemorySize"]) == (9, 256)
    assert after["RevisionId"] != before["RevisionId"]
    assert after["CodeSha256"] != before["CodeSha256"]
    update = functions.client.update_function_configuration
    refused(
        update,
        "PreconditionFailedException",
        "Revision Id",
        FunctionName=name,
        RevisionId=before["RevisionId"],
        Timeout=4,
    )
    dry = functions.client.update_function_code(FunctionName=name, ZipFile=zipped(main=TEXT), DryRun=True)
    assert dry["CodeSha256"] != after["CodeSha256"]
    assert functions.client.get_function_configuration(FunctionName=name)["CodeSha256"] == after["CodeSha256"]


def test_code_from_s3_is_read_as_the_caller(functions: Functions, server: Server) -> None:
    s3, bucket = server.client("s3"), f"code-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="code.zip", Body=zipped(main=TEXT))
    name = functions.create("", Code={"S3Bucket": bucket, "S3Key": "code.zip"})
    assert functions.invoke(name).payload == "first"
    refused(
        functions.client.update_function_code,
        "InvalidParameterValueException",
        "S3 Error Code: NoSuchKey",
        FunctionName=name,
        S3Bucket=bucket,
        S3Key="none.zip",
    )


def test_deleted_is_gone(functions: Functions, server: Server) -> None:
    name = functions.create(TEXT)
    functions.invoke(name)
    functions.client.delete_function(FunctionName=name)
    for call in (functions.client.get_function, functions.client.delete_function, functions.client.invoke):
        refused(
            call,
            "ResourceNotFoundException",
            f"Function not found: arn:aws:lambda:us-east-1:000000000000:function:{name}",
            FunctionName=name,
        )
    again = functions.client.create_function(
        FunctionName=name,
        Runtime="python3.11",
        Role=functions.role,
        Handler="main.handler",
        Code={"ZipFile": zipped(main=TEXT)},
    )
    assert again["State"] == "Pending"


def test_tags(functions: Functions) -> None:
    name = functions.create(TEXT)
    arn = functions.client.get_function_configuration(FunctionName=name)["FunctionArn"]
    functions.client.tag_resource(Resource=arn, Tags={"a": "1", "b": "2"})
    functions.client.untag_resource(Resource=arn, TagKeys=["a"])
    assert functions.client.list_tags(Resource=arn)["Tags"] == {"b": "2"}


def _linked(where: str = "/tmp") -> bytes:
    """A zip that would write through a link of its own."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        link = zipfile.ZipInfo("out")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, where)
        archive.writestr("out/evil.py" if where else "main.py", "")
    return held.getvalue()


def _named(name: str, size: int = 1) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, b"0" * size)
    return held.getvalue()


def _many(count: int) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for number in range(count):
            archive.writestr(f"{number}", "")
    return held.getvalue()


def _claiming(count: int, length: int) -> bytes:
    """A zip whose last record says that its directory has so many entries, and bytes."""
    content = bytearray(zipped(main=TEXT))
    struct.pack_into("<HHL", content, len(content) - 14, count, count, length)
    return bytes(content)


def _damaged(method: int) -> bytes:
    """A zip whose one file begins as it should, and goes on with nonsense."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", method) as archive:
        archive.writestr("main.py", TEXT * 99)
        packed = archive.infolist()[0].compress_size
    content = bytearray(held.getvalue())
    begins = 30 + len("main.py") + packed // 2
    content[begins : begins + 16] = b"\xff" * 16
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"no zip", "Could not unzip uploaded file"),
        (zipped(main=TEXT)[:-30], "Could not unzip uploaded file"),
        (zipped(main=TEXT)[60:], "Could not unzip uploaded file"),
        (_damaged(zipfile.ZIP_DEFLATED), "Could not unzip uploaded file"),
        (_damaged(zipfile.ZIP_BZIP2), "Could not unzip uploaded file"),
        (_damaged(zipfile.ZIP_LZMA), "Could not unzip uploaded file"),
        (zipped(), "non-empty zip"),
        (_named("../evil.py"), "Could not unzip uploaded file"),
        (_named("/etc/evil.py"), "Could not unzip uploaded file"),
        (_linked(), "Could not unzip uploaded file"),
        (_linked(""), "Could not unzip uploaded file"),
        (_named("x" * 300 + ".py"), "Could not unzip uploaded file"),
        (_many(65_536), "at most 65535 files and folders"),
        (_claiming(1, 1 << 25), "too many entries"),
        (_named("large.bin", 262_144_001), "Unzipped size must be smaller than 262144000 bytes"),
    ],
    ids=[
        "nonsense",
        "endless",
        "headless",
        "damaged",
        "bzip2",
        "lzma",
        "empty",
        "outside",
        "absolute",
        "link",
        "nowhere",
        "long",
        "many",
        "claiming",
        "bomb",
    ],
)
def test_code_that_is_none(functions: Functions, content: bytes, words: str) -> None:
    refused(
        functions.client.create_function,
        "InvalidParameterValueException",
        words,
        FunctionName="never",
        Runtime="python3.11",
        Role=functions.role,
        Handler="main.handler",
        Code={"ZipFile": content},
    )


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"Runtime": "nodejs22.x"}, "UnsupportedOperationException", "Runtime=nodejs22.x"),
        ({"Runtime": "python2.7"}, "UnsupportedOperationException", "Runtime=python2.7"),
        ({"Runtime": "python3.7"}, "InvalidParameterValueException", "no longer supported"),
        ({"Timeout": 901}, "ValidationException", "less than or equal to 900"),
        ({"MemorySize": 10_241}, "ValidationException", "less than or equal to 10240"),
        ({"Layers": ["arn:aws:lambda:us-east-1:000000000000:layer:x:1"]}, "UnsupportedOperationException", "Layers"),
        ({"Publish": True}, "UnsupportedOperationException", "Publish"),
        ({"Environment": {"Variables": {"AWS_REGION": "x"}}}, "InvalidParameterValueException", "AWS_REGION"),
        ({"Environment": {"Variables": {"XX": "x" * 4096}}}, "InvalidParameterValueException", "4KB limit"),
        ({"FunctionName": "f" * 65}, "ValidationException", "less than or equal to 64"),
        ({"Code": {}}, "InvalidParameterValueException", "source for function code"),
        (
            {"Role": "arn:aws:iam::000000000000:role/none"},
            "InvalidParameterValueException",
            "cannot be assumed by Lambda",
        ),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_what_is_refused(functions: Functions, change: dict[str, Any], code: str, words: str) -> None:
    asked = {
        "FunctionName": "never",
        "Runtime": "python3.11",
        "Role": functions.role,
        "Handler": "main.handler",
        "Code": {"ZipFile": zipped(main=TEXT)},
        **change,
    }
    refused(functions.client.create_function, code, words, **asked)


def test_the_same_name_twice(functions: Functions) -> None:
    name = functions.create(TEXT)
    refused(
        functions.client.create_function,
        "ResourceConflictException",
        f"Function already exist: {name}",
        FunctionName=name,
        Runtime="python3.11",
        Role=functions.role,
        Handler="main.handler",
        Code={"ZipFile": zipped(main=TEXT)},
    )


def test_a_role_that_does_not_trust_lambda(functions: Functions, server: Server) -> None:
    iam, name = server.client("iam"), f"r-{uuid.uuid4().hex[:12]}"
    trust = {
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ]
    }
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    refused(
        functions.client.create_function,
        "InvalidParameterValueException",
        "cannot be assumed by Lambda",
        FunctionName="never",
        Runtime="python3.11",
        Role=role,
        Handler="main.handler",
        Code={"ZipFile": zipped(main=TEXT)},
    )
