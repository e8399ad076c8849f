"""Whether somebody may invoke an endpoint, decided as control decides: by the snapshot and by what a request tells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from wildsage.access.asking import moment, of_resource, transport
from wildsage.access.conditions import PolicyError
from wildsage.access.decisions import Decision, Identity, Question, decide
from wildsage.access.patterns import Context
from wildsage.access.plain import steady
from wildsage.access.policies import Policy, Principal, compile_policy
from wildsage.core.multimodel import below
from wildsage.core.routes import INVOKING, Invoker
from wildsage.wire.http.messages import Request

# Keys of invocations alone (Service Authorization Reference, Amazon SageMaker; for containers the Developer Guide,
# "Invoke a multi-container endpoint with direct invocation").
_TARGETS = {
    "x-amzn-sagemaker-target-container-hostname": "sagemaker:targetcontainerhostname",
    "x-amzn-sagemaker-target-model": "sagemaker:targetmodel",
}
_NO_RESOURCE_NAMES_IT = Principal("AWS", frozenset())
_MOST_DECIDED = 10_000


class Asking(NamedTuple):
    """The condition keys of an invocation. ``said``: with what it targets by the name that it gives that.

    ``meant``: by the name that counts, which is another if one starts with a slash.
    """

    meant: Context
    said: Context


@dataclass(slots=True)
class Verdicts:
    """One principal's policies, or one session's. ``steady``: the endpoint's ARN alone decides, and that is remembered.

    ``context``, ``user_id``: the principal's own, as its ``Invoker`` has them.
    """

    identity: Identity
    steady: bool
    context: Context = field(default_factory=dict)
    user_id: str = ""
    _decided: tuple[dict[str, Decision], dict[str, Decision]] = field(default_factory=lambda: ({}, {}))

    def steadily(self, streams: bool, arn: str) -> Decision:
        """Of ``steady`` ones. ``streams``: whether it is InvokeEndpointWithResponseStream."""
        decided = self._decided[streams]
        decision = decided.get(arn)
        if decision is None:
            decision = decide(self.identity, Question(INVOKING[streams], arn, {}))
            if len(decided) < _MOST_DECIDED:
                decided[arn] = decision
        return decision

    def of(self, streams: bool, arn: str, asking: Asking) -> Decision:
        """What somebody may not have, they may not have by either of its names."""
        decision = decide(self.identity, Question(INVOKING[streams], arn, asking.meant))
        if decision.allowed and asking.said is not asking.meant:
            other = decide(self.identity, Question(INVOKING[streams], arn, asking.said))
            return other if other.explicit else decision
        return decision


def of_invoker(invoker: Invoker) -> Verdicts:
    """Raises ValueError for documents that are none."""
    policies = (_compiled(invoker.policies),)
    boundary = None if invoker.boundary is None else _compiled(invoker.boundary)
    identity = Identity(_NO_RESOURCE_NAMES_IT, policies, boundary)
    context = {key: (value,) for key, value in invoker.context.items()}
    return Verdicts(identity, steady(policies if boundary is None else (*policies, boundary)), context, invoker.user_id)


def of_session_policies(documents: Sequence[str]) -> Verdicts:
    """What a session's own policies leave of what its role may. Raises PolicyError."""
    policies = tuple(map(compile_policy, documents))
    return Verdicts(Identity(_NO_RESOURCE_NAMES_IT, session=policies, unrestricted=True), steady(policies))


def asking(request: Request, region: str, now: float, tags: Mapping[str, str], *own: Context) -> Asking:
    """``tags``: of the endpoint; ``own``: keys of who asks, of which the last counts. ``now``: epoch seconds."""
    context: dict[str, Sequence[str]] = {
        **moment(region, now),
        **transport(request.scheme, request.peer, request.header),
        **of_resource(tags),
    }
    for keys in own:
        context.update(keys)
    targets = {_TARGETS[name]: value for name, value in request.headers if name in _TARGETS}
    if not targets:
        return Asking(context, context)
    said = {key: (value,) for key, value in targets.items()}
    return Asking({**context, **{key: (below(value),) for key, value in targets.items()}}, {**context, **said})


def _compiled(document: str) -> Policy:
    try:
        return compile_policy(document) if document else Policy(())
    except PolicyError as error:
        raise ValueError(str(error)) from error


NOBODY = of_invoker(Invoker("", ""))
"""Of principals without policies about invocations."""
