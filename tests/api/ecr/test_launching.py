"""Images for launches, and what leaves the disk: on a control plane of the test's own."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.api.ecr.pushing import config_bytes, digest, image, index

from wildsage.compose.table import Control, compose
from wildsage.core.caller import Caller, root_of, session_of
from wildsage.core.errors import ApiError
from wildsage.core.settings import DataDir, Settings
from wildsage.kit.context import Platform
from wildsage.kit.registryimages import find_image, read_name
from wildsage.services.ecr import expiry
from wildsage.services.s3 import sweep
from wildsage.store.facts import Window
from wildsage.store.layers import Layers
from wildsage.wire.http.messages import BytesBody, Request, Response

ACCOUNT, REGION = "000000000000", "us-east-1"
ROOT = root_of(ACCOUNT)
OTHER = "111111111111"
NAME = "team/app"
AWS = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{NAME}"
DAY = 86400.0


@pytest.fixture
async def control(tmp_path: Path) -> AsyncIterator[Control]:
    made = await compose(Settings(DataDir(tmp_path), accounts=(OTHER,)))
    await made.platform.calls.call(ROOT, REGION, "ecr", "CreateRepository", {"repositoryName": NAME})
    yield made
    await made.close()


class Client:
    """Speaks to the registry without a socket."""

    def __init__(self, control: Control, token: str) -> None:
        self._control = control
        self._token = token

    async def __call__(self, method: str, path: str, body: bytes = b"", **headers: str) -> Response:
        host = headers.pop("host", "127.0.0.1")
        known = [("host", host), ("authorization", f"Basic {self._token}"), ("content-length", str(len(body)))]
        given = [(name.replace("_", "-"), value) for name, value in headers.items()]
        return await self._control.door.handle(Request(method, path, [*known, *given], BytesBody(body)))

    async def push_blob(self, data: bytes) -> None:
        answer = await self("POST", f"/v2/{NAME}/blobs/uploads/?digest={digest(data)}", data)
        assert answer.status == 201, answer.body

    async def push_image(self, tag: str, layer: bytes) -> bytes:
        """The manifest."""
        manifest = image(config_bytes(), layer)
        await self.push_blob(config_bytes())
        await self.push_blob(layer)
        await self.put(tag, manifest)
        return manifest

    async def put(self, tag: str, manifest: bytes) -> None:
        answer = await self("PUT", f"/v2/{NAME}/manifests/{tag}", manifest)
        assert answer.status == 201, answer.body


def is_denied(answer: Response) -> bool:
    """As the registry refuses what the password may not."""
    return answer.status == 403 and isinstance(answer.body, bytes) and b"DENIED" in answer.body


async def client_of(control: Control, caller: Caller = ROOT) -> Client:
    answer = await control.platform.calls.call(caller, REGION, "ecr", "GetAuthorizationToken", {})
    return Client(control, answer["authorizationData"][0]["authorizationToken"])


async def role_that_may(platform: Platform, *actions: str) -> Caller:
    """A session of a new role."""

    async def iam(operation: str, **params: Any) -> Any:
        return await platform.calls.call(ROOT, REGION, "iam", operation, params)

    trust = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
    text = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = (await iam("CreateRole", RoleName="puller", AssumeRolePolicyDocument=text))["Role"]
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    await iam("PutRolePolicy", RoleName="puller", PolicyName="p", PolicyDocument=document)
    return session_of(ACCOUNT, "puller", role["RoleId"], "job")


async def test_an_image_that_is_here_is_found_with_what_pulls_it(control: Control) -> None:
    platform, client = control.platform, await client_of(control)
    manifest = await client.push_image("v1", b"layer")
    await client.push_image("latest", b"another")
    for uri in (f"{AWS}:v1", f"{AWS}@{digest(manifest)}", f"127.0.0.1:4566/{NAME}:v1", f"localhost:4566/{NAME}:v1"):
        found = await find_image(platform, ROOT, uri)
        assert found is not None, uri
        assert (found.digest, found.os, found.architecture) == (digest(manifest), "linux", "amd64")
        assert found.reference == f"127.0.0.1:4566/{NAME}@{digest(manifest)}"
        token = base64.b64encode(f"{found.username}:{found.password}".encode()).decode()
        pulled = await Client(control, token)("GET", f"/v2/{NAME}/manifests/{found.digest}")
        assert pulled.body == manifest
    latest = await find_image(platform, ROOT, AWS)
    assert latest is not None
    assert latest.name.identity == {"imageTag": "latest"}
    assert latest.digest != digest(manifest)
    await client.put("both", index(manifest))
    both = await find_image(platform, ROOT, f"{AWS}:both")
    assert both is not None
    assert (both.os, both.architecture) == ("", "")


async def test_what_is_not_here_is_not_found(control: Control) -> None:
    platform = control.platform
    for uri in ("debian", "registry.example/library/debian:12", "127.0.0.1:5000/team/app", "app:v1", ""):
        assert read_name(platform, uri) is None, uri
    for uri in (f"{AWS}:none", f"{AWS}@sha256:{'0' * 64}", f"{AWS}@nonsense", f"{AWS}x:v1", AWS.replace("us", "eu")):
        assert read_name(platform, uri) is not None, uri
        assert await find_image(platform, ROOT, uri) is None, uri


@pytest.mark.parametrize(
    ("actions", "missing"),
    [
        (("s3:*",), "ecr:BatchGetImage"),
        (("ecr:BatchGetImage",), "ecr:GetDownloadUrlForLayer"),
        (("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"), "ecr:GetAuthorizationToken"),
        (("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:GetAuthorizationToken"), ""),
    ],
)
async def test_a_role_that_may_not_pull_is_told_what_it_lacks(
    control: Control, actions: tuple[str, ...], missing: str
) -> None:
    await (await client_of(control)).push_image("v1", b"layer")
    caller = await role_that_may(control.platform, *actions)
    if missing:
        with pytest.raises(ApiError, match=f"is not authorized to perform: {missing} on resource: ") as refused:
            await find_image(control.platform, caller, f"{AWS}:v1")
        assert refused.value.code == "AccessDeniedException"
    else:
        assert await find_image(control.platform, caller, f"{AWS}:v1") is not None


def layer_files(platform: Platform) -> set[bytes]:
    folder = platform.settings.data.objects / "ECR"
    return {path.read_bytes() for path in folder.rglob("*") if path.is_file()}


async def test_what_no_image_names_leaves_the_disk_after_a_day(control: Control) -> None:
    platform, client = control.platform, await client_of(control)
    await client.push_image("v1", b"named")
    await client.push_blob(b"unnamed")
    begun = (await client("POST", f"/v2/{NAME}/blobs/uploads/")).header("location") or ""
    await client("PATCH", begun, b"begun")
    everything = {b"named", b"unnamed", b"begun", config_bytes()}
    assert await expiry.collect(platform) == 0
    assert layer_files(platform) == everything
    layers, now = Layers(platform.database), platform.clock.now()
    assert await layers.collect(now - DAY, now + 1, now) == 1  # the upload
    assert await layers.collect(now + 1, now - DAY, now) == 1
    assert (await client("GET", begun)).status == 404
    await sweep.collect(platform, now)
    assert layer_files(platform) == {b"named", config_bytes()}
    await platform.calls.call(
        ROOT, REGION, "ecr", "BatchDeleteImage", {"repositoryName": NAME, "imageIds": [{"imageTag": "v1"}]}
    )
    assert await expiry.collect(platform) == 0  # just uploaded: another image may be about to name them
    await layers.collect(platform.clock.now() + 1, 0.0, now)
    await sweep.collect(platform, now)
    assert layer_files(platform) == set()


async def test_bytes_that_repositories_share_go_with_the_last_of_them(control: Control) -> None:
    platform, client = control.platform, await client_of(control)
    data = random.Random(5).randbytes(1000)
    await client.push_blob(data)
    other = {"repositoryName": "team/other"}
    await platform.calls.call(ROOT, REGION, "ecr", "CreateRepository", other)
    mounted = await client("POST", f"/v2/team/other/blobs/uploads/?mount={digest(data)}&from={NAME}")
    assert mounted.status == 201
    for name, left in ((NAME, {data}), ("team/other", set())):
        await platform.calls.call(ROOT, REGION, "ecr", "DeleteRepository", {"repositoryName": name})
        await sweep.collect(platform, platform.clock.now())
        assert layer_files(platform) == left


async def test_a_password_goes_with_its_role(control: Control) -> None:
    caller = await role_that_may(control.platform, "ecr:*")
    client = await client_of(control, caller)
    assert (await client("GET", f"/v2/{NAME}/tags/list")).status == 200
    for operation, params in (("DeleteRolePolicy", {"PolicyName": "p"}), ("DeleteRole", {})):
        await control.platform.calls.call(ROOT, REGION, "iam", operation, {"RoleName": "puller", **params})
        answer = await client("GET", f"/v2/{NAME}/tags/list")
        assert is_denied(answer), answer


async def test_another_account_sees_what_a_policy_shows_it(control: Control) -> None:
    platform, stranger = control.platform, root_of(OTHER)
    manifest = await (await client_of(control)).push_image("v1", b"layer")

    async def ecr(caller: Caller, operation: str, **params: Any) -> Any:
        return await platform.calls.call(caller, REGION, "ecr", operation, {"registryId": ACCOUNT, **params})

    client = await client_of(control, stranger)
    by_host = partial(client, host=AWS.partition("/")[0])
    for path in (f"/v2/{NAME}/manifests/v1", f"/v2/{NAME}/tags/list", "/v2/_catalog"):
        answer = await by_host("GET", path)
        assert is_denied(answer), (path, answer)
    for operation, params in (
        ("DescribeRepositories", {}),
        ("CreateRepository", {"repositoryName": "mine/now"}),
        ("BatchGetImage", {"repositoryName": NAME, "imageIds": [{"imageTag": "v1"}]}),
    ):
        with pytest.raises(ApiError, match="is not authorized to perform") as refused:
            await ecr(stranger, operation, **params)
        assert refused.value.code == "AccessDeniedException"
    granted = {"Effect": "Allow", "Principal": {"AWS": OTHER}, "Action": ["ecr:BatchGetImage", "ecr:ListImages"]}
    text = json.dumps({"Version": "2012-10-17", "Statement": [granted]})
    await ecr(ROOT, "SetRepositoryPolicy", repositoryName=NAME, policyText=text)
    assert (await by_host("GET", f"/v2/{NAME}/manifests/v1")).body == manifest
    assert (await by_host("GET", f"/v2/{NAME}/tags/list")).status == 200
    assert (await by_host("POST", f"/v2/{NAME}/blobs/uploads/")).status == 403
    assert (await client("GET", f"/v2/{NAME}/manifests/v1")).status == 404  # by its own password: its own registry


async def test_calls_of_the_registry_are_recorded(control: Control) -> None:
    client = await client_of(control)
    await client.push_image("v1", b"layer")
    await control.audit.flush()
    facts = await control.platform.facts.read(Window("audit", (REGION,), limit=100))
    names = [json.loads(fact.body)["eventName"] for fact in facts]
    assert {"GetAuthorizationToken", "InitiateLayerUpload", "CompleteLayerUpload", "PutImage"} <= set(names)
