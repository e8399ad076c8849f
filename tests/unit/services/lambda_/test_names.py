"""What a FunctionName means, and what IAM is asked of it."""

from __future__ import annotations

import pytest

from wildsage.core.functions import FunctionName, function_settings, parse_function_name
from wildsage.gateway.asked import Asked
from wildsage.gateway.needs import needs, passed_roles


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("f", FunctionName("f")),
        ("f:$LATEST", FunctionName("f", qualifier="$LATEST")),
        ("function", FunctionName("function")),
        ("function:f", FunctionName("f")),
        ("123456789012:function:f", FunctionName("f", "123456789012")),
        ("123456789012:function:f:7", FunctionName("f", "123456789012", qualifier="7")),
        ("arn:aws:lambda:eu-west-1:123456789012:function:f", FunctionName("f", "123456789012", "eu-west-1")),
        ("arn:aws:lambda:eu-west-1:123456789012:function:f:a", FunctionName("f", "123456789012", "eu-west-1", "a")),
        (
            "arn:aws:lambda:eu-west-1:123456789012:function:function",
            FunctionName("function", "123456789012", "eu-west-1"),
        ),
    ],
)
def test_names(text: str, found: FunctionName) -> None:
    assert parse_function_name(text) == found


def test_invoke_needs_the_function_with_its_qualifier() -> None:
    asked = Asked("lambda", "Invoke", "us-east-1", "000000000000", {"FunctionName": "f", "Qualifier": "$LATEST"})
    (need,) = needs(asked)
    assert (need.action, need.resource) == (
        "lambda:InvokeFunction",
        "arn:aws:lambda:us-east-1:000000000000:function:f:$LATEST",
    )


def test_roles_are_passed() -> None:
    role = "arn:aws:iam::000000000000:role/r"
    assert passed_roles(Asked("lambda", "CreateFunction", "us-east-1", "000000000000", {"Role": role})) == [role]
    assert passed_roles(Asked("logs", "CreateLogGroup", "us-east-1", "000000000000", {"Role": role})) == []


def test_settings() -> None:
    found = function_settings({"WILDSAGE_LAMBDA_IDLE": "2.5", "WILDSAGE_LAMBDA_CONCURRENCY": "7"})
    assert (found.idle, found.concurrency, found.retry) == (2.5, 7, 60.0)
