"""What a transform job's document means."""

from __future__ import annotations

from typing import Any

import pytest

from wildsage.core.transforms import Item, Order, order_of
from wildsage.services.sagemaker.instance.hosts import Host
from wildsage.services.sagemaker.instance.inputs.listing import Entry
from wildsage.services.sagemaker.instance.places import Location
from wildsage.services.sagemaker.transform import plan, rules

DOCUMENT: dict[str, Any] = {
    "TransformJobName": "job",
    "ModelName": "model",
    "TransformInput": {"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://in/a"}}},
    "TransformOutput": {"S3OutputPath": "s3://out/there/"},
    "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 2},
}


@pytest.mark.parametrize(
    ("prefix", "key", "own"),
    [
        ("in/", "in/a.csv", "a.csv"),
        ("in", "in/a.csv", "a.csv"),
        ("in", "in/x/a.csv", "x/a.csv"),
        ("in/a.csv", "in/a.csv", "a.csv"),
        ("in/par", "in/part-1.csv", "part-1.csv"),
        ("", "in/a.csv", "in/a.csv"),
        ("in/", "in//a.csv", "/a.csv"),  # is not a.csv, which may be there besides
        ("in", "in//a.csv", "/a.csv"),
    ],
)
def test_the_place_of_an_output_is_that_below_the_input(prefix: str, key: str, own: str) -> None:
    assert plan.below(prefix, key) == own


def test_objects_are_dealt_out_and_folders_left_out() -> None:
    entries = [Entry(Location("in", f"a/{name}"), "a") for name in ("", "1", "2", "3")]
    items = plan.items(DOCUMENT, entries)
    assert items[0] == Item("in", "a/1", "there/1.out")
    hosts = [Host(index, f"i-{index}", "", "ml.m5.large") for index in range(2)]
    shares = [[item.key for item in plan.share(items, host, 2)] for host in hosts]
    assert shares == [["a/1", "a/3"], ["a/2"]]


def test_what_is_named_like_a_folder_is_an_object_if_there_is_something_in_it() -> None:
    sizes = {"x/": 0, "y/": 7, "z": 0}
    entries = [Entry(Location("in", f"a/{name}"), "a/", size) for name, size in sizes.items()]
    assert [item.key for item in plan.items(DOCUMENT, entries)] == ["a/y/", "a/z"]


def test_an_order_says_what_the_document_says() -> None:
    asked = {
        **DOCUMENT,
        "MaxPayloadInMB": 0,
        "MaxConcurrentTransforms": 0,
        "ModelClientConfig": {"InvocationsMaxRetries": 0},
        "DataProcessing": {"JoinSource": "Input"},
    }
    order = plan.order(rules.complete(asked), "http://here:1", "us-east-1", [("one", "unix:/a"), ("two", "unix:/b")])
    assert (order.payload_mib, order.concurrent, order.retries, order.timeout) == (0, None, 0, 600)
    assert (order.split, order.assemble, order.gzip, order.join, order.bucket) == ("None", "None", False, True, "out")
    assert order_of(order.dump()) == order


def test_containers_are_told_what_was_asked_and_nothing_else() -> None:
    assert plan.variables(DOCUMENT) == {"SAGEMAKER_BATCH": "true"}
    asked = {"MaxPayloadInMB": 0, "BatchStrategy": "SingleRecord", "MaxConcurrentTransforms": 3}
    assert plan.variables({**DOCUMENT, **asked, "Environment": {"A": "b"}}) == {
        "SAGEMAKER_BATCH": "true",
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": "0",
        "SAGEMAKER_BATCH_STRATEGY": "SINGLE_RECORD",
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "3",
        "A": "b",
    }


def test_an_order_without_filters_looks_into_nothing() -> None:
    plain = Order("http://here:1", "us-east-1", (), "out")
    assert not plain.processes
    assert not plan.order(rules.complete(DOCUMENT), "http://here:1", "us-east-1", []).processes
