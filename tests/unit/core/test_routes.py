import json

import pytest

from wildsage.core.routes import Endpoint, Instance, Key, Permission, Routes, Variant, endpoint_key, from_json

ROOT = "arn:aws:iam::000000000000:root"
ROUTES = Routes(
    version=3,
    account="000000000000",
    master="ab" * 32,
    keys={"AKIA1": Key("secret", ROOT, "000000000000", ROOT)},
    permissions={ROOT: Permission(("*",))},
    endpoints={
        endpoint_key("us-east-1", "iris"): Endpoint(
            "iris",
            "us-east-1",
            "arn:aws:sagemaker:us-east-1:000000000000:endpoint/iris",
            "InService",
            "iris-config",
            "/aws/sagemaker/Endpoints/iris",
            (Variant("AllTraffic", 1.0, (Instance("i-1", "unix:/run/serve.sock"),), "RANDOM", 0.5),),
            (Variant("Shadow", 0.5, (Instance("i-2", "unix:/run/shadow.sock"),)),),
        )
    },
)


def test_a_snapshot_survives_json() -> None:
    assert from_json(ROUTES.to_json()) == ROUTES


def test_a_snapshot_without_a_part_is_refused() -> None:
    for part in ("version", "account", "master", "keys", "permissions", "endpoints"):
        data = json.loads(ROUTES.to_json())
        del data[part]
        with pytest.raises(ValueError, match=part):
            from_json(json.dumps(data))


@pytest.mark.parametrize("text", ["", "[]", "null", '{"version": "x"}'])
def test_rubbish_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        from_json(text)
