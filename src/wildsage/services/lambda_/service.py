"""AWS Lambda: what ``compose`` takes."""

from __future__ import annotations

from dataclasses import replace

from wildsage.kit import reservedtags
from wildsage.kit.operation import Operation, Service, service
from wildsage.services.lambda_ import concurrency, functions, invoke, labels, names, permissions
from wildsage.services.lambda_.workers.pool import Workers

_INVOKE = "Invoke"

LAMBDA = service(
    "lambda",
    functions,
    permissions,
    labels,
    concurrency,
    operations=[Operation(_INVOKE, invoke.not_served)],
    reserved_tag=reservedtags.worded(names.invalid),
)


def served_by(workers: Workers) -> Service:
    """``LAMBDA`` with workers behind it."""
    return replace(LAMBDA, operations={**LAMBDA.operations, _INVOKE: Operation(_INVOKE, invoke.invoke_with(workers))})
