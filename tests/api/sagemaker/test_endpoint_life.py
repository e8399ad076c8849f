"""Endpoints through boto3 and the router."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from botocore.exceptions import ClientError
from tests.api.sagemaker.conftest import ECHO, Account, Asking, until


def test_requests_never_fail_while_an_endpoint_is_updated(account: Account) -> None:
    first, second = account.model(ECHO), account.model(ECHO.replace("return data", "return b'second'"))
    account.sagemaker.create_endpoint(EndpointName="steady", EndpointConfigName=first)
    assert account.settled("steady")["EndpointStatus"] == "InService"
    with Asking(account, "steady", b"first", 3) as asking:
        for config in (second, first, second):
            account.sagemaker.update_endpoint(EndpointName="steady", EndpointConfigName=config)
            assert account.settled("steady")["EndpointConfigName"] == config
        until(lambda: asking.answers[-1] == b"second")
    account.delete("steady")
    assert asking.failures == []
    assert set(asking.answers) == {b"first", b"second"}


def test_an_endpoint_that_is_not_there(account: Account) -> None:
    absent: list[Callable[[], object]] = [
        lambda: account.invoke("absent", b""),
        lambda: account.sagemaker.describe_endpoint(EndpointName="absent"),
    ]
    for call in absent:
        with pytest.raises(ClientError, match="absent") as found:
            call()
        assert found.value.response["Error"]["Code"] in ("ValidationError", "ValidationException")


def test_the_waiters_of_boto3(account: Account) -> None:
    name = account.model(ECHO)
    account.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    account.sagemaker.get_waiter("endpoint_in_service").wait(
        EndpointName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    assert account.invoke(name, b"hello") == b"hello"
    with pytest.raises(ClientError, match=f'Cannot create already existing endpoint ".*:endpoint/{name}"'):
        account.sagemaker.create_endpoint(EndpointName=name.upper(), EndpointConfigName=name)
    account.sagemaker.delete_endpoint(EndpointName=name)
    account.sagemaker.get_waiter("endpoint_deleted").wait(
        EndpointName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    account.sagemaker.delete_endpoint_config(EndpointConfigName=name)
    account.sagemaker.delete_model(ModelName=name)
