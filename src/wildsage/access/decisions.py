"""Whether a request is allowed, as IAM decides it within one account (``decide``) and between two (``decide_across``).

An explicit deny anywhere wins.  Otherwise the request needs an allow from the identity's policies or from the
resource's, and no boundary or session policy may leave it out (IAM User Guide, "Policy evaluation logic").  A resource
policy that allows the whole account only lets the account decide: the identity's policies must then allow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from wildsage.access.patterns import Context
from wildsage.access.policies import Policy, Principal


@dataclass(frozen=True, slots=True)
class Identity:
    """The policies of who asks. ``boundary`` and ``session`` narrow what ``policies`` allow; None where there are none.

    ``context``: the principal's context keys, in lower case (``aws:username``, ``aws:principaltag/team``).
    """

    principal: Principal
    policies: tuple[Policy, ...] = ()
    boundary: Policy | None = None
    session: tuple[Policy, ...] | None = None
    unrestricted: bool = False
    context: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Question:
    """``action``: ``sagemaker:CreateModel``; ``resource``: an ARN or ``*``; ``context``: keys in lower case."""

    action: str
    resource: str
    context: Context


@dataclass(frozen=True, slots=True)
class Decision:
    """``reason``: the end of AWS's AccessDenied sentence, empty where it is allowed. ``explicit``: a deny said so."""

    allowed: bool
    reason: str = ""
    explicit: bool = False


_ALLOWED = Decision(True)


def _effect(policies: Sequence[Policy], question: Question, principal: Principal | None = None) -> bool | None:
    """False: explicitly denied; True: allowed; None: nothing said."""
    allowed: bool | None = None
    for policy in policies:
        for statement in policy.statements:
            if statement.allow and allowed:
                continue  # only a deny could still change the outcome
            if statement.applies(question.action, question.resource, question.context, principal):
                if not statement.allow:
                    return False
                allowed = True
    return allowed


def _silent(kind: str, action: str) -> Decision:
    return Decision(False, f"because no {kind} policy allows the {action} action")


def _denied(kind: str) -> Decision:
    return Decision(False, f"with an explicit deny in {'an' if kind[0] in 'aeiou' else 'a'} {kind} policy", True)


def decide(
    identity: Identity, question: Question, resource_policy: Policy | None = None, granted: bool = False
) -> Decision:
    """The decision and, for a refusal, AWS's reason for it. ``granted``: an access control list allows it."""
    context = {**question.context, **identity.context}
    question = Question(question.action, question.resource, context)
    on_resource = None
    if resource_policy is not None:
        on_resource = _effect((resource_policy,), question, identity.principal)
    own = True if identity.unrestricted else _effect(identity.policies, question)
    narrowing = [
        (kind, _effect(policies, question))
        for kind, policies in (
            ("permissions boundary", None if identity.boundary is None else (identity.boundary,)),
            ("session", identity.session),
        )
        if policies is not None
    ]
    for kind, effect in (("identity-based", own), *narrowing, ("resource-based", on_resource)):
        if effect is False:
            return _denied(kind)
    if own is None and on_resource is None and not granted:
        return _silent("identity-based", question.action)
    for kind, effect in narrowing:
        if effect is None:
            return _silent(kind, question.action)
    return _ALLOWED


def decide_across(
    identity: Identity, question: Question, resource_policy: Policy | None, granted: bool, anonymous: bool
) -> Decision:
    """For a resource of another account: both sides must allow it; nobody speaks for the ``anonymous`` and services.

    A policy on the resource may name the caller or its whole account (IAM User Guide, "Cross-account policy
    evaluation logic").
    """
    question = Question(question.action, question.resource, {**question.context, **identity.context})
    on_resource = None
    if resource_policy is not None:
        on_resource = _effect((resource_policy,), question, identity.principal.as_account())
    if on_resource is False:
        return _denied("resource-based")
    if on_resource is None and not granted:
        return _silent("resource-based", question.action)
    if anonymous:
        return _ALLOWED
    return decide(identity, question)


def trusts(trust: Policy, principal: Principal, context: Context | None = None) -> bool:
    """Whether a role's trust policy lets ``principal`` itself assume it, with no word of the account's needed."""
    return _effect((trust,), Question("sts:AssumeRole", "*", context or {}), principal) is True


def decide_assume(identity: Identity, trust: Policy, question: Question) -> Decision:
    """``sts:AssumeRole``: the trust policy must allow the caller by name, or its account and the caller's own policies.

    The refusal has no reason, as AWS gives none.
    """
    context = {**question.context, **identity.context}
    asked = Question(question.action, question.resource, context)
    named = _effect((trust,), asked, identity.principal)
    own = True if identity.unrestricted else _effect(identity.policies, asked)
    if named is False or own is False:
        return Decision(False)
    through_account = _effect((trust,), asked, identity.principal.as_account())
    return Decision(bool(named or (through_account and own)))
