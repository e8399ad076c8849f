"""InvokeEndpoint as stock clients see it."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.unit.dataplane.conftest import impatient
from tests.unit.dataplane.plant import ACCOUNT, MASTER, USER, Plant, allow, echo, endpoint, invoker

from wildsage.core import sessions
from wildsage.core.caller import session_of
from wildsage.core.routes import Instance, Variant
from wildsage.wire.http.messages import BytesBody, Request, Response

ROLE = f"arn:aws:iam::{ACCOUNT}:role/Execution"


async def refused(call: Any) -> tuple[str, int, str, dict[str, Any]]:
    """Code, status, message and everything of a ClientError."""
    with pytest.raises(ClientError) as caught:
        await call
    answer: dict[str, Any] = dict(caught.value.response)
    error = answer["Error"]
    return error["Code"], answer["ResponseMetadata"]["HTTPStatusCode"], error["Message"], answer


async def test_an_invocation_reaches_the_container_and_comes_back(plant: Plant) -> None:
    plant.put(endpoint("iris", Variant("AllTraffic", 1.0, (await plant.serve("m", echo),))))
    answer = await plant.invoke(Accept="application/json", CustomAttributes="a=b", InferenceId="id-1")
    body, _, headers = answer["Body"].partition(b"|")
    assert body == b"1,2"
    assert answer["ContentType"] == "text/csv"
    assert answer["InvokedProductionVariant"] == "AllTraffic"
    assert answer["CustomAttributes"] == "c=1"
    assert "x-secret" not in answer["ResponseMetadata"]["HTTPHeaders"]
    assert len(answer["ResponseMetadata"]["RequestId"]) == 36
    assert json.loads(headers) == [
        ["accept", "application/json"],
        ["content-length", "3"],
        ["content-type", "text/csv"],
        ["host", "localhost:8080"],
        ["x-amzn-sagemaker-custom-attributes", "a=b"],
        ["x-amzn-sagemaker-inference-id", "id-1"],
    ]


@pytest.mark.parametrize("size", [100_000, 25 * 1024 * 1024])
async def test_large_bodies_both_ways(plant: Plant, size: int) -> None:
    plant.put(endpoint("iris", Variant("AllTraffic", 1.0, (await plant.serve("m", echo),))))
    body = bytes(range(256)) * (size // 256)
    answer = await plant.invoke(Body=body)
    assert answer["Body"][: len(body)] == body


async def test_more_than_25_megabytes_are_refused(plant: Plant) -> None:
    plant.put(endpoint("iris", Variant("AllTraffic", 1.0, (await plant.serve("m", echo),))))
    code, status, message, _ = await refused(plant.invoke(Body=bytes(25 * 1024 * 1024 + 1)))
    assert (code, status) == ("ValidationError", 400)
    assert message.endswith(" has oversize body.")


async def test_an_endpoint_that_is_not_there_or_not_ready(plant: Plant) -> None:
    instance = await plant.serve("m", echo)
    plant.put(endpoint("iris", Variant("AllTraffic", 1.0, (instance,)), status="Creating"), endpoint("empty"))
    for name in ("nothing", "iris", "empty"):
        code, status, message, _ = await refused(plant.invoke(EndpointName=name))
        assert (code, status) == ("ValidationError", 400)
        assert message == f"Endpoint {name} of account {ACCOUNT} not found."


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (
            {"CustomAttributes": "x" * 1025},
            "Value at 'customAttributes' …: Member must have length less than or equal to",
        ),
        ({"CustomAttributes": "é"}, "Value at 'customAttributes' …: Member must satisfy regular expression pattern: "),
        ({"Accept": "x" * 1025}, f"Value '{'x' * 1025}' at 'accept' …: Member must have length less than or equal to"),
        ({"ContentType": "ü"}, "Value 'ü' at 'contentType' …: Member must satisfy regular expression pattern: "),
        ({"InferenceId": "i" * 65}, f"Value '{'i' * 65}' at 'inferenceId' …: Member must have length less than or"),
        ({"TargetVariant": "v" * 64}, f"Value '{'v' * 64}' at 'targetVariant' …: Member must have length less than or"),
        (
            {"EndpointName": "bad_name!"},
            "Value 'bad_name!' at 'endpointName' …: Member must satisfy regular expression",
        ),
        ({"EndpointName": "e" * 64}, f"Value '{'e' * 64}' at 'endpointName' …: Member must have length less than or"),
    ],
)
async def test_what_is_longer_than_the_model_allows_or_of_other_letters_is_refused(
    plant: Plant, said: dict[str, str], message: str
) -> None:
    plant.put(endpoint("iris", Variant("AllTraffic", 1.0, (await plant.serve("m", echo),))))
    code, status, words, _ = await refused(plant.invoke(**said))
    assert (code, status) == ("ValidationError", 400)
    assert words.startswith("1 validation error detected: " + message.replace("…", "failed to satisfy constraint"))


async def test_members_as_long_as_the_model_allows_are_taken(plant: Plant) -> None:
    plant.put(endpoint("iris", Variant("AllTraffic", 1.0, (await plant.serve("m", echo),))))
    answer = await plant.invoke(CustomAttributes="x" * 1024, Accept="a" * 1024, InferenceId="i " * 31 + "ii")
    assert b'"x-amzn-sagemaker-inference-id", "i i i' in answer["Body"]


@pytest.mark.parametrize(
    ("key", "secret", "code"),
    [("AKIAROOT", "wrong", "InvalidSignatureException"), ("AKIANOBODY", "x", "UnrecognizedClientException")],
)
async def test_nobody_gets_in_without_a_known_key(plant: Plant, key: str, secret: str, code: str) -> None:
    plant.put(endpoint("iris", Variant("AllTraffic", 1.0, (await plant.serve("m", echo),))))
    found, status, _, _ = await refused(plant.invoke(plant.boto(key, secret)))
    assert (found, status) == (code, 403)


async def test_an_unsigned_request_is_refused(plant: Plant) -> None:
    plant.put(endpoint("iris", Variant("AllTraffic", 1.0, (await plant.serve("m", echo),))))
    request = Request("POST", "/endpoints/iris/invocations", [("host", "x")], BytesBody(b"1"))
    response = await plant.client.send(plant.address, request)
    assert response.status == 403
    assert response.header("x-amzn-errortype") == "MissingAuthenticationTokenException"


async def test_permissions_are_checked(plant: Plant) -> None:
    instance = await plant.serve("m", echo)
    both = [endpoint(name, Variant("AllTraffic", 1.0, (instance,))) for name in ("iris", "rose")]
    plant.put(*both, **{USER: invoker(allow(both[0].arn))})
    user = plant.boto("AKIAUSER", "user-secret")
    assert (await plant.invoke(user))["Body"]
    code, status, message, _ = await refused(plant.invoke(user, EndpointName="rose"))
    assert (code, status) == ("AccessDeniedException", 403)
    assert message == (
        f"User: {USER} is not authorized to perform: sagemaker:InvokeEndpoint on resource: {both[1].arn} "
        "because no identity-based policy allows the sagemaker:InvokeEndpoint action"
    )


async def test_session_credentials(plant: Plant) -> None:
    plant.put(
        endpoint("iris", Variant("AllTraffic", 1.0, (await plant.serve("m", echo),))),
        **{ROLE: invoker(allow("*"), user_id="AROAX")},
    )
    now = time.time()
    caller = session_of(ACCOUNT, "Execution", "AROAX", "job")
    good = sessions.issue(MASTER, caller, now, now + 900)
    for _ in range(2):
        assert (await plant.invoke(plant.boto(good.access_key, good.secret, good.token)))["Body"]
    old = sessions.issue(MASTER, caller, now - 900, now - 1)
    assert (await refused(plant.invoke(plant.boto(old.access_key, old.secret, old.token))))[
        0
    ] == "ExpiredTokenException"
    stale = sessions.issue(MASTER, session_of(ACCOUNT, "Execution", "AROAOLD", "job"), now, now + 900)
    code, *_ = await refused(plant.invoke(plant.boto(stale.access_key, stale.secret, stale.token)))
    assert code == "AccessDeniedException"  # of a role of that name that was deleted
    forged = sessions.issue(b"x" * 32, caller, now, now + 900)
    code, *_ = await refused(plant.invoke(plant.boto(forged.access_key, forged.secret, forged.token)))
    assert code in ("UnrecognizedClientException", "InvalidClientTokenId")


async def test_a_presigned_invocation(plant: Plant) -> None:
    plant.put(endpoint("iris", Variant("AllTraffic", 1.0, (await plant.serve("m", echo),))))
    # botocore moves the body of what it presigns into the query, so it signs for an empty one.
    url = plant.boto().generate_presigned_url("invoke_endpoint", {"EndpointName": "iris", "Body": b"{}"})
    target = url.removeprefix(plant.url)
    headers = [("host", plant.url.removeprefix("http://"))]
    for signature, status in (("X-Amz-Signature=", 200), ("X-Amz-Signature=0", 403)):
        request = Request("POST", target.replace("X-Amz-Signature=", signature), headers, BytesBody(b""))
        assert (await plant.client.send(plant.address, request)).status == status


def session_policy(resource: str, effect: str = "Allow", **more: Any) -> str:
    statement = {"Effect": effect, "Action": "sagemaker:Invoke*", "Resource": resource, **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


async def test_a_session_may_no_more_than_its_own_policies_allow(plant: Plant) -> None:
    instance = await plant.serve("m", echo)
    both = [endpoint(name, Variant("AllTraffic", 1.0, (instance,))) for name in ("iris", "rose")]
    plant.put(*both, **{ROLE: invoker(allow(both[0].arn), user_id="AROAX")})
    now = time.time()
    caller = session_of(ACCOUNT, "Execution", "AROAX", "job")

    def client(*policies: str) -> Any:
        issued = sessions.issue(MASTER, caller, now, now + 900, policies=policies)
        return plant.boto(issued.access_key, issued.secret, issued.token)

    wide = client(session_policy("*"))
    assert (await plant.invoke(wide))["Body"]
    *_, message, _ = await refused(plant.invoke(wide, EndpointName="rose"))
    assert "because no identity-based policy allows" in message
    silent = "because no session policy allows the sagemaker:InvokeEndpoint action"
    for narrow, reason in (
        (client(session_policy(both[1].arn)), silent),
        (client(session_policy("*"), session_policy(both[0].arn, "Deny")), "with an explicit deny in a session policy"),
        (client(session_policy("*", Condition={"Bool": {"aws:SecureTransport": "true"}})), silent),
    ):
        code, status, message, _ = await refused(plant.invoke(narrow))
        assert (code, status) == ("AccessDeniedException", 403)
        assert message.endswith(reason)


@pytest.mark.parametrize(("status", "kind"), [(400, "client"), (415, "client"), (500, "server"), (503, "server")])
async def test_a_container_s_error_is_a_model_error(plant: Plant, status: int, kind: str) -> None:
    async def failing(request: Request) -> Response:
        return Response(status, [("content-type", "text/plain")], b"it is \xc3\xa4 \xff fault")

    plant.put(endpoint("iris", Variant("AllTraffic", 1.0, (await plant.serve("m", failing),))))
    code, got, message, answer = await refused(plant.invoke())
    assert (code, got) == ("ModelError", 424)
    assert message == (
        f'Received {kind} error ({status}) from primary with message "it is ä � fault". '
        "See https://us-east-1.console.aws.amazon.com/cloudwatch/home?region=us-east-1"
        f"#logEventViewer:group=/aws/sagemaker/Endpoints/iris in account {ACCOUNT} for more information."
    )
    assert answer["OriginalStatusCode"] == status
    assert answer["OriginalMessage"] == "it is ä � fault"
    assert answer["LogStreamArn"] == f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:/aws/sagemaker/Endpoints/iris"


async def test_an_endless_error_is_not_quoted(plant: Plant) -> None:
    async def failing(request: Request) -> Response:
        return Response(500, [], bytes(200_000))

    plant.put(endpoint("iris", Variant("AllTraffic", 1.0, (await plant.serve("m", failing),))))
    code, _, message, _ = await refused(plant.invoke())
    assert code == "ModelError"
    assert "from primary and could not load the entire response body. See https://" in message


@impatient
async def test_a_container_that_is_too_slow(plant: Plant) -> None:
    async def slow(request: Request) -> Response:
        await asyncio.sleep(60)
        return Response(200)

    plant.put(endpoint("iris", Variant("AllTraffic", 1.0, (await plant.serve("m", slow),))))
    code, status, message, _ = await refused(plant.invoke())
    assert (code, status) == ("ModelError", 424)
    assert 'server error (0) from primary with message "Your invocation timed out while waiting' in message


async def test_a_container_that_hangs_up(plant: Plant) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    path = plant.data.root / "m.sock"
    server = await asyncio.start_unix_server(hang_up, path)
    plant.put(endpoint("iris", Variant("AllTraffic", 1.0, (Instance("i", f"unix:{path}"),))))
    code, _, message, _ = await refused(plant.invoke())
    assert code == "ModelError"
    assert "closed the connection" in message
    server.close()


async def test_an_instance_that_is_away_is_passed_over(plant: Plant) -> None:
    here, away = await plant.serve("m", echo), Instance("away", "unix:/nowhere")
    plant.put(endpoint("iris", Variant("AllTraffic", 1.0, (away, here))), endpoint("gone", Variant("A", 1.0, (away,))))
    for _ in range(4):
        assert (await plant.invoke())["Body"]
    code, status, _, _ = await refused(plant.invoke(EndpointName="gone"))
    assert (code, status) == ("ServiceUnavailable", 503)


async def test_an_endpoint_in_service_without_an_instance_is_unavailable_for_a_while(plant: Plant) -> None:
    """Control found its instances dead and is replacing them: a client may try again."""
    instance = await plant.serve("m", echo)
    plant.put(
        endpoint("iris", Variant("A", 1.0, ())),
        endpoint("rose", Variant("A", 1.0, (instance,)), Variant("B", 1.0, ())),
    )
    assert (await refused(plant.invoke()))[:2] == ("ServiceUnavailable", 503)
    for name in ("iris", "rose"):
        target = {"EndpointName": name, "TargetVariant": "B" if name == "rose" else "A"}
        assert (await refused(plant.invoke(**target)))[:2] == ("ServiceUnavailable", 503)
        assert (await refused(plant.invoke(EndpointName=name, TargetVariant="C")))[0] == "ValidationError"
    assert (await plant.invoke(EndpointName="rose"))["InvokedProductionVariant"] == "A"


async def test_variants_share_by_weight_and_can_be_targeted(plant: Plant) -> None:
    instance = await plant.serve("m", echo)
    plant.put(endpoint("iris", *(Variant(name, weight, (instance,)) for name, weight in (("A", 1.0), ("B", 0.0)))))
    boto = plant.boto()
    seen = Counter([(await plant.invoke(boto))["InvokedProductionVariant"] for _ in range(10)])
    assert seen == {"A": 10}
    assert (await plant.invoke(boto, TargetVariant="B"))["InvokedProductionVariant"] == "B"
    assert (await refused(plant.invoke(boto, TargetVariant="C")))[:2] == ("ValidationError", 400)


async def test_where_no_variant_has_a_weight_the_client_is_told_so(plant: Plant) -> None:
    instance = await plant.serve("m", echo)
    plant.put(endpoint("iris", *(Variant(name, 0.0, (instance,)) for name in "AB")))
    code, status, words, _ = await refused(plant.invoke())
    assert (code, status) == ("ServiceUnavailable", 503)
    assert "All variants of endpoint iris have weight 0." in words
    assert (await plant.invoke(TargetVariant="B"))["InvokedProductionVariant"] == "B"


async def test_answers_stream(plant: Plant) -> None:
    goes_on = asyncio.Event()

    async def streaming(request: Request) -> Response:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"one "
            await goes_on.wait()
            yield b"two"

        return Response(200, [("content-type", "text/plain")], chunks())

    plant.put(endpoint("iris", Variant("AllTraffic", 1.0, (await plant.serve("m", streaming),))))

    def call() -> bytes:
        body = plant.boto().invoke_endpoint(EndpointName="iris", Body=b"")["Body"]
        first: bytes = body.read(4)
        loop.call_soon_threadsafe(goes_on.set)
        rest: bytes = body.read()
        return first + rest

    loop = asyncio.get_running_loop()
    assert await asyncio.to_thread(call) == b"one two"


async def test_counters(plant: Plant) -> None:
    async def moody(request: Request) -> Response:
        return Response(int(await request.body.read(10)), [], b"x")

    plant.put(endpoint("iris", Variant("A", 1.0, (await plant.serve("m", moody),))))
    for status in (200, 200, 404, 500):
        if status == 200:
            await plant.invoke(Body=str(status))
        else:
            await refused(plant.invoke(Body=str(status)))
    request = Request("GET", "/counters", [("host", "x")], BytesBody())
    response = await plant.client.send(f"unix:{plant.data.router_socket()}", request)
    assert isinstance(response.body, bytes)
    counters = json.loads(response.body)["endpoints"]["us-east-1/iris"]["A"]
    assert (counters["invocations"], counters["errors_4xx"], counters["errors_5xx"]) == (4, 1, 1)
    assert counters["model_us"] > 0
    assert counters["overhead_us"] > 0
    assert (sum(counters["model"].values()), sum(counters["overhead"].values())) == (4, 4)
    live = plant.router.table.endpoint("us-east-1", "iris")
    assert live is not None
    assert [slot.outstanding for slot in live.variants[0].slots] == [0]


async def test_a_client_that_hangs_up_frees_its_instance(plant: Plant) -> None:
    arrived, left = asyncio.Event(), asyncio.Event()

    async def endless(request: Request) -> Response:
        async def chunks() -> AsyncIterator[bytes]:
            try:
                arrived.set()
                while True:
                    yield bytes(50_000)
                    await asyncio.sleep(0)
            finally:
                left.set()

        return Response(200, [], chunks())

    plant.put(endpoint("iris", Variant("A", 1.0, (await plant.serve("m", endless),))))

    def call() -> None:
        body = plant.boto().invoke_endpoint(EndpointName="iris", Body=b"")["Body"]
        body.read(1)
        body.close()

    await asyncio.to_thread(call)
    await asyncio.wait_for(left.wait(), 5)
    live = plant.router.table.endpoint("us-east-1", "iris")
    assert live is not None
    assert [slot.outstanding for slot in live.variants[0].slots] == [0]
