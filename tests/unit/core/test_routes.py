import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wildsage.core.routes import (
    EVERYTHING,
    Endpoint,
    Instance,
    Invoker,
    Key,
    Reader,
    Routes,
    Variant,
    Writer,
    endpoint_key,
    from_json,
)

ROOT = "arn:aws:iam::000000000000:root"
ROUTES = Routes(
    version=3,
    account="000000000000",
    master="ab" * 32,
    keys={"AKIA1": Key("secret", ROOT, "000000000000", ROOT)},
    permissions={ROOT: Invoker("000000000000", EVERYTHING, "", {"aws:username": "u"})},
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
            tags={"team": "a"},
        )
    },
)


def test_a_snapshot_survives_json() -> None:
    assert from_json(ROUTES.to_json()) == ROUTES


def test_it_is_read_however_it_is_laid_out() -> None:
    assert from_json(json.dumps(json.loads(ROUTES.to_json()), indent=2)) == ROUTES


@given(
    st.dictionaries(st.text(max_size=20), st.tuples(st.text(max_size=20), st.text(max_size=20)), max_size=5),
    st.text(max_size=20),
)
def test_names_may_hold_whatever_the_layout_is_made_of(names: dict[str, tuple[str, str]], account: str) -> None:
    (endpoint,) = ROUTES.endpoints.values()
    strange = {key: replace(endpoint, name=name, config=config) for key, (name, config) in names.items()}
    marks = {"\n}}": endpoint, ',"endpoints":{\n': endpoint, ",\n": replace(endpoint, config='",\n"')}
    routes = replace(ROUTES, account=account, endpoints=strange | marks)
    assert from_json(routes.to_json()) == routes
    assert json.loads(routes.to_json())["account"] == account


def test_what_is_as_it_was_is_the_same_object() -> None:
    (endpoint,) = ROUTES.endpoints.values()
    writer, reader = Writer(), Reader()
    one = reader.read(writer.write(replace(ROUTES, endpoints={"a": endpoint, "b": endpoint, "c": endpoint})))
    changed = replace(endpoint, status="Updating")
    two = reader.read(writer.write(replace(ROUTES, version=4, endpoints={"a": endpoint, "b": changed})))
    assert two.endpoints == {"a": endpoint, "b": changed}
    assert two.endpoints["a"] is one.endpoints["a"]
    with pytest.raises(ValueError, match="endpoints"):
        reader.read("{}")
    assert reader.read(writer.write(two)).endpoints["b"] is two.endpoints["b"], "a damaged one changes nothing"


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
