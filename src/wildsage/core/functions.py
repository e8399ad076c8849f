"""Lambda functions: how they are named, and what their settings are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wildsage.core import arn
from wildsage.core.numbers import number

LATEST = "$LATEST"
_MOST_SECONDS = 86400.0
_MOST_WORKERS = 10_000.0


@dataclass(frozen=True, slots=True)
class FunctionSettings:
    """How functions are run.

    ``idle``: seconds without an event after which a worker ends; AWS does not say how long it waits. ``concurrency``:
    events of all functions that are worked on at once, the account's limit on AWS (1,000 there). ``retry``: seconds
    before the second attempt at an asynchronous event; twice as many before the third.
    """

    idle: float = 300.0
    concurrency: int = 100
    retry: float = 60.0


def function_settings(environ: Mapping[str, str]) -> FunctionSettings:
    """WILDSAGE_LAMBDA_IDLE, WILDSAGE_LAMBDA_CONCURRENCY and WILDSAGE_LAMBDA_RETRY."""
    usual = FunctionSettings()
    return FunctionSettings(
        idle=number(environ, "WILDSAGE_LAMBDA_IDLE", usual.idle, _MOST_SECONDS),
        concurrency=int(number(environ, "WILDSAGE_LAMBDA_CONCURRENCY", usual.concurrency, _MOST_WORKERS)),
        retry=number(environ, "WILDSAGE_LAMBDA_RETRY", usual.retry, _MOST_SECONDS),
    )


@dataclass(frozen=True, slots=True)
class FunctionName:
    """What a FunctionName says; empty for what it leaves to the caller's account, region and $LATEST."""

    name: str
    account: str = ""
    region: str = ""
    qualifier: str = ""


def parse_function_name(text: str) -> FunctionName:
    """``name``, ``name:qualifier``, ``account:function:name`` or an ARN, with a qualifier or without.

    Source: API reference, Invoke, FunctionName. Never fails: the model's pattern was checked before.
    """
    parts = text.split(":")
    account = region = ""
    if "function" in parts[:-1]:
        at = parts.index("function")
        before, parts = parts[:at], parts[at + 1 :]
        account = before[-1] if before and before[-1].isdigit() else ""
        region = before[3] if len(before) > 3 and before[0] == "arn" else ""
    return FunctionName(parts[0], account, region, parts[1] if len(parts) > 1 else "")


def function_arn(account: str, region: str, name: str, qualifier: str = "") -> str:
    """Without a qualifier it means $LATEST."""
    tail = f":{qualifier}" if qualifier else ""
    return arn.build("lambda", region, account, f"function:{name}{tail}")
