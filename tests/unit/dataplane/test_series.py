"""Inference pipelines: requests that pass through several containers of an instance, and what goes wrong on the way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from tests.unit.dataplane.conftest import LIMITS
from tests.unit.dataplane.plant import USER, Plant, allow, deny, echo, endpoint, invoker
from tests.waiting import until

from wildsage.core.invocations import InvocationLimits
from wildsage.core.routes import Capture, Container, Instance, Variant, from_json
from wildsage.wire.http.messages import Request, Response

Handler = Callable[[Request], Awaitable[Response]]


def step(name: str, content_type: str = "application/json", status: int = 200) -> Handler:
    """A container that answers what it got, with its name and the headers it got after it."""

    async def handle(request: Request) -> Response:
        body = await request.body.read(1 << 30)
        known = {key: value for key, value in request.headers if key not in ("host", "content-length")}
        said = body + f"|{name}{json.dumps(known, sort_keys=True)}".encode()
        return Response(status, [("content-type", content_type), ("x-amzn-sagemaker-custom-attributes", name)], said)

    return handle


async def pipeline(plant: Plant, *handlers: Handler, name: str = "i", **variant: Any) -> Variant:
    """In series, the containers being one, two, …; the endpoint ``iris`` has this one instance."""
    found = Variant("all", 1.0, (await instance(plant, name, *handlers),), **{"mode": "Serial", **variant})
    plant.put(endpoint("iris", found))
    return found


async def instance(plant: Plant, name: str, *handlers: Handler) -> Instance:
    hosts = ("one", "two", "three")
    served = [await plant.serve(f"{name}-{host}", handler) for host, handler in zip(hosts, handlers, strict=False)]
    containers = tuple(Container(host, each.address) for host, each in zip(hosts, served, strict=False))
    return Instance(name, containers[0].address, containers)


async def refused(plant: Plant, **parameters: Any) -> dict[str, Any]:
    with pytest.raises(ClientError) as caught:
        await plant.invoke(**parameters)
    return dict(caught.value.response)


def counters(plant: Plant, name: str = "all") -> Any:
    return plant.router.table.counters()["us-east-1/iris"][name]


async def test_each_gets_the_answer_of_the_one_before_and_the_last_one_answers(plant: Plant) -> None:
    await pipeline(plant, step("a", "application/json"), step("b", "text/csv"), step("c", "text/plain"))
    answer = await plant.invoke(Accept="text/plain", CustomAttributes="mine", InferenceId="7")
    said = answer["Body"].decode().split("|")
    inferred = {"x-amzn-sagemaker-custom-attributes": "mine", "x-amzn-sagemaker-inference-id": "7"}
    assert [part[0] for part in said] == ["1", "a", "b", "c"]
    assert json.loads(said[1][1:]) == {"content-type": "text/csv", **inferred}
    assert json.loads(said[2][1:]) == {"content-type": "application/json", **inferred}
    assert json.loads(said[3][1:]) == {"content-type": "text/csv", "accept": "text/plain", **inferred}
    assert answer["ContentType"] == "text/plain"
    assert answer["CustomAttributes"] == "c"
    assert answer["InvokedProductionVariant"] == "all"
    found = counters(plant)
    assert found.invocations == 1
    assert sum(found.model.values()) == 1
    assert {name: sum(each.buckets.values()) for name, each in found.containers.items()} == {
        "one": 1,
        "two": 1,
        "three": 1,
    }
    assert found.model_us == pytest.approx(sum(each.us for each in found.containers.values()), abs=50)
    assert plant.router.table.underway() == {}


@pytest.mark.parametrize("bad", [0, 1, 2])
@pytest.mark.parametrize(("status", "kind"), [(500, "server"), (415, "client")])
async def test_an_error_of_one_container_ends_it_and_names_it(plant: Plant, bad: int, status: int, kind: str) -> None:
    asked: list[int] = []

    def handler(number: int) -> Handler:
        async def handle(request: Request) -> Response:
            asked.append(number)
            return await step("x", status=status if number == bad else 200)(request)

        return handle

    await pipeline(plant, *map(handler, range(3)))
    response = await refused(plant)
    assert response["Error"]["Code"] == "ModelError"
    name = ("one", "two", "three")[bad]
    assert response["Error"]["Message"].startswith(f'Received {kind} error ({status}) from {name} with message "1,2|x')
    assert response["OriginalStatusCode"] == status
    assert asked == list(range(bad + 1))
    found = counters(plant)
    assert (found.errors_5xx, found.errors_4xx) == ((1, 0) if kind == "server" else (0, 1))
    assert plant.router.table.underway() == {}
    assert (await refused(plant))["OriginalStatusCode"] == status  # connections are in order


async def test_the_last_ones_answer_is_streamed_if_asked(plant: Plant) -> None:
    async def last(request: Request) -> Response:
        await request.body.read(1 << 30)
        assert request.header("accept") == "text/plain"

        async def pieces() -> Any:
            yield b"first"
            await asyncio.to_thread(plant.turns.acquire)
            yield b"second"

        return Response(200, [("content-type", "text/plain")], pieces())

    await pipeline(plant, step("a"), last)

    def call() -> list[bytes]:
        answer = plant.boto().invoke_endpoint_with_response_stream(EndpointName="iris", Body=b"x", Accept="text/plain")
        found = []
        for event in answer["Body"]:
            found.append(event["PayloadPart"]["Bytes"])
            plant.turns.release()
        return found

    assert await asyncio.to_thread(call) == [b"first", b"second"]


@pytest.mark.parametrize("limits", [InvocationLimits(seconds=2.0)])
async def test_the_time_limit_is_over_the_whole_chain(plant: Plant) -> None:
    def slow(seconds: float) -> Handler:
        async def handle(request: Request) -> Response:
            await asyncio.sleep(seconds)
            return await step("s")(request)

        return handle

    await pipeline(plant, slow(1.0), slow(1.8), slow(60.0))
    response = await refused(plant)
    assert "timed out while waiting for a response from container two" in response["OriginalMessage"]
    assert plant.router.table.underway() == {}


async def test_a_container_that_breaks_off_is_named(plant: Plant) -> None:
    async def broken(request: Request) -> Response:
        await request.body.read(1 << 30)

        async def pieces() -> Any:
            yield b"some"
            raise ConnectionResetError

        return Response(200, [("content-length", "100")], pieces())

    await pipeline(plant, step("a"), broken, step("c"))
    response = await refused(plant)
    assert response["Error"]["Message"].startswith("Received server error (0) from two with message")
    assert counters(plant).lost == 1


async def test_a_container_that_cannot_be_reached_is_that_of_another_instance_or_named(
    plant: Plant, tmp_path: Path
) -> None:
    whole = await instance(plant, "whole", step("a"), step("b"))
    half = await instance(plant, "half", step("a"))
    half = replace(half, containers=(*half.containers, Container("two", f"unix:{tmp_path}/nobody")))
    plant.put(endpoint("iris", Variant("all", 1.0, (half,), mode="Serial")))
    response = await refused(plant)
    assert response["Error"]["Code"] == "ServiceUnavailable"
    assert "Container two of the endpoint cannot be reached" in response["Error"]["Message"]
    plant.put(endpoint("iris", Variant("all", 1.0, (half, whole), mode="Serial")))
    for _ in range(8):
        assert b"|b" in (await plant.invoke())["Body"]
    assert plant.router.table.underway() == {}
    found = counters(plant)
    assert found.invocations == 9
    assert sum(found.model.values()) == 8


async def test_an_instance_whose_first_container_is_away_costs_the_request_nothing(
    plant: Plant, tmp_path: Path
) -> None:
    whole = await instance(plant, "whole", step("a"), step("b"))
    away = Instance(
        "away", f"unix:{tmp_path}/nobody", (Container("one", f"unix:{tmp_path}/nobody"), whole.containers[1])
    )
    plant.put(endpoint("iris", Variant("all", 1.0, (away, whole), mode="Serial")))
    for _ in range(4):
        await plant.invoke()


async def test_what_goes_from_one_to_the_next_has_a_limit_too(plant: Plant) -> None:
    limit = InvocationLimits().payload

    async def huge(request: Request) -> Response:
        await request.body.read(1 << 30)
        return Response(200, [], bytes(limit + 1))

    await pipeline(plant, huge, step("b"))
    message = (await refused(plant))["Error"]["Message"]
    assert message.startswith(
        f"Received response from one with status code 200. However, the request payload from one to two is {limit + 1} "
        f"bytes, which has exceeded the maximum limit of {limit / 1e6:g} MB. See https://"
    )


async def test_what_is_handed_on_counts_among_the_bytes_that_are_kept_together(plant: Plant) -> None:
    size, go_on = 16 * 1024 * 1024, asyncio.Event()

    async def large(request: Request) -> Response:
        await request.body.read(1 << 30)

        async def pieces() -> AsyncIterator[bytes]:
            yield bytes(size)
            await go_on.wait()

        return Response(200, [], pieces())

    await pipeline(plant, large, step("b"))
    calls = [asyncio.ensure_future(plant.invoke()) for _ in range(LIMITS.together // size + 1)]
    done, _ = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
    assert "Too many bytes are under way" in str(done.pop().exception())
    go_on.set()
    await asyncio.gather(*calls, return_exceptions=True)
    assert plant.router._invocations._held == 0


async def test_large_answers_pass_whole(plant: Plant) -> None:
    async def same(request: Request) -> Response:
        return Response(200, [], await request.body.read(1 << 30))

    await pipeline(plant, same, same, same)
    body = bytes(range(256)) * 8 * 1024
    assert (await plant.invoke(Body=body))["Body"] == body


async def test_a_client_that_hangs_up_leaves_nothing_behind(plant: Plant) -> None:
    started, go_on = asyncio.Event(), asyncio.Event()

    async def slow(request: Request) -> Response:
        started.set()
        await go_on.wait()
        return await step("s")(request)

    await pipeline(plant, step("a"), slow, step("c"))
    asked = AWSRequest("POST", f"{plant.url}/endpoints/iris/invocations", data=b"1,2")
    SigV4Auth(Credentials("AKIAROOT", "root-secret"), "sagemaker", "us-east-1").add_auth(asked)
    lines = "".join(f"{name}: {value}\r\n" for name, value in asked.headers.items())
    _, client = await asyncio.open_connection(*plant.router.home())
    host = plant.url.removeprefix("http://")
    client.write(
        f"POST /endpoints/iris/invocations HTTP/1.1\r\nhost: {host}\r\n{lines}content-length: 3\r\n\r\n1,2".encode()
    )
    await asyncio.wait_for(started.wait(), 60)
    client.close()
    await until(lambda: plant.router.table.underway() == {})
    go_on.set()


async def test_what_is_captured_is_the_first_ones_input_and_the_last_ones_output(plant: Plant) -> None:
    capture = Capture(100, "s3://bucket/prefix", "role", csv=("text/csv",))
    await pipeline(plant, step("a"), step("b", "text/csv"), capture=capture)
    answer = await plant.invoke()
    await until(lambda: captured(plant))
    records = captured(plant)
    assert records[0]["captureData"]["endpointInput"]["data"] == "1,2"
    assert records[0]["captureData"]["endpointOutput"]["data"] == answer["Body"].decode()


def captured(plant: Plant) -> list[Any]:
    lines = [
        line for path in plant.data.captured.rglob("*") if path.is_file() for line in path.read_text().splitlines()
    ]
    return [found for line in lines if "captureData" in (found := json.loads(line))]


async def test_containers_that_are_invoked_by_name(plant: Plant) -> None:
    await pipeline(plant, step("a"), step("b", status=500), mode="Direct")
    answer = await plant.invoke(TargetContainerHostname="one", Accept="text/plain")
    headers = json.loads(answer["Body"].decode().split("|a")[1])
    assert headers == {"content-type": "text/csv", "accept": "text/plain"}
    assert answer["InvokedProductionVariant"] == "all"
    message = (await refused(plant, TargetContainerHostname="two"))["Error"]["Message"]
    assert message.startswith("Received server error (500) from two with message")
    one, two = counters(plant, "all/one"), counters(plant, "all/two")
    assert (one.invocations, one.errors_5xx, two.invocations, two.errors_5xx) == (1, 0, 1, 1)
    assert plant.router.table.underway() == {}
    plant.put(*(live.endpoint for live in plant.router.table._endpoints.values()))
    assert (await plant.invoke(TargetContainerHostname="one"))["Body"]


async def test_a_container_that_is_invoked_by_name_may_stream(plant: Plant) -> None:
    await pipeline(plant, step("a"), step("b"), mode="Direct")

    def call(**target: str) -> bytes:
        answer = plant.boto().invoke_endpoint_with_response_stream(EndpointName="iris", Body=b"x", **target)
        return b"".join(event["PayloadPart"]["Bytes"] for event in answer["Body"])

    assert (await asyncio.to_thread(call, TargetContainerHostname="two")).startswith(b"x|b")
    with pytest.raises(ClientError, match="requires target container hostname header"):
        await asyncio.to_thread(call)


@pytest.mark.parametrize(
    ("mode", "parameters", "words"),
    [
        ("Direct", {}, "requires target container hostname header. Name one of its containers"),
        ("Direct", {"TargetContainerHostname": "three"}, "Target container hostname three of endpoint iris not found"),
        ("Direct", {"TargetContainerHostname": "one", "SessionId": "NEW_SESSION"}, "does not support sessions"),
        ("Serial", {"TargetContainerHostname": "one"}, "is not a multi-container endpoint with direct invocation"),
        ("Serial", {"SessionId": "NEW_SESSION"}, "does not support sessions"),
    ],
)
async def test_what_cannot_be_asked_of_several_containers(
    plant: Plant, mode: str, parameters: dict[str, str], words: str
) -> None:
    await pipeline(plant, step("a"), step("b"), mode=mode)
    error = (await refused(plant, **parameters))["Error"]
    assert error["Code"] == "ValidationError"
    assert words in error["Message"]
    assert counters(plant, "all/one" if mode == "Direct" else "all").invocations == 0


async def test_an_only_container_is_not_named(plant: Plant) -> None:
    plant.put(endpoint("iris", Variant("all", 1.0, (await plant.serve("m", echo),))))
    error = (await refused(plant, TargetContainerHostname="one"))["Error"]
    assert "is not a multi-container endpoint with direct invocation" in error["Message"]


async def test_policies_may_say_which_containers_somebody_invokes(plant: Plant) -> None:
    await pipeline(plant, step("a"), step("b"), step("c"), mode="Direct")
    live = plant.routes.endpoints["us-east-1/iris"]

    def only(*names: str) -> dict[str, Any]:
        return {"Condition": {"StringLike": {"sagemaker:TargetContainerHostname": list(names)}}}

    plant.put(live, **{USER: invoker(allow(live.arn, **only("t*")), deny(live.arn, **only("*ee")))})
    assert from_json(plant.routes.to_json()) == plant.routes
    boto = plant.boto("AKIAUSER", "user-secret")
    assert (await plant.invoke(boto, TargetContainerHostname="two"))["Body"]
    for name in ("one", "three"):
        with pytest.raises(ClientError, match="AccessDenied"):
            await plant.invoke(boto, TargetContainerHostname=name)
    with pytest.raises(ClientError, match="AccessDenied"):
        await plant.invoke(boto)
    plant.put(live, **{USER: invoker(allow(live.arn), deny(live.arn, **only("two")))})
    assert (await plant.invoke(boto, TargetContainerHostname="one"))["Body"]
    with pytest.raises(ClientError, match="AccessDenied"):
        await plant.invoke(boto, TargetContainerHostname="two")
