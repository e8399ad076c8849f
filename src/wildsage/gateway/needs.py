"""What a caller must be allowed for each operation: IAM actions and the resources they are asked of.

Source: Service Authorization Reference.  Most operations need the action of their own name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from wildsage.core import arn
from wildsage.gateway.asked import Asked, Need
from wildsage.gateway.cloudwatch_needs import cloudwatch_needs
from wildsage.gateway.lambda_needs import lambda_needs
from wildsage.gateway.messaging_needs import sns_needs, sqs_needs
from wildsage.gateway.s3_needs import s3_needs

_PREFIXES: Mapping[str, str] = {"sagemaker-runtime": "sagemaker", "stepfunctions": "states"}
# The services that are handed roles → the members that hold them.
_ROLE_MEMBERS: Mapping[str, tuple[str, ...]] = {"sagemaker": ("RoleArn", "ExecutionRoleArn"), "lambda": ("Role",)}
_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def needs(asked: Asked) -> list[Need]:
    """Everything the call needs; each must be allowed."""
    own = _OWN.get(asked.service)
    if own is not None:
        return list(own(asked))
    prefix = _PREFIXES.get(asked.service, asked.service)
    return [Need(f"{prefix}:{asked.operation}", "*")]


def passed_roles(asked: Asked) -> list[str]:
    """The roles that a call hands to its service, which need ``iam:PassRole`` and must trust the service."""
    found = [asked.params.get(member) for member in _ROLE_MEMBERS.get(asked.service, ())]
    return [role for role in found if isinstance(role, str)]


def _sagemaker(asked: Asked) -> Iterable[Need]:
    """The resource is named by ``<Noun>Arn``, ``ResourceArn`` or ``<Noun>Name`` (``TrainingJobName``)."""
    kept = (asked.params.get("ResourceConfig") or {}).get("KeepAlivePeriodInSeconds")
    context = {} if kept is None else {"sagemaker:keepaliveperiod": (str(kept),)}
    yield Need(f"sagemaker:{asked.operation}", _sagemaker_resource(asked), context)


def _sagemaker_resource(asked: Asked) -> str:
    named = asked.params.get("ResourceArn")
    if isinstance(named, str):
        return named
    noun = re.sub(r"^(Create|Describe|Update|Delete|Stop|Start|Invoke|List)", "", asked.operation)
    if noun == "EndpointWeightsAndCapacities" or (noun.startswith("Endpoint") and asked.service == "sagemaker-runtime"):
        noun = "Endpoint"
    name = asked.params.get(f"{noun}Name")
    if not isinstance(name, str):
        given = asked.params.get(f"{noun}Arn")
        return given if isinstance(given, str) else "*"
    kind = _WORD.sub("-", noun).lower()
    return arn.build("sagemaker", asked.region, asked.account, f"{kind}/{name.lower()}")


def _logs(asked: Asked) -> Iterable[Need]:
    group = asked.params.get("logGroupName")
    resource = "*"
    if isinstance(group, str):
        stream = asked.params.get("logStreamName")
        tail = (
            f":log-stream:{stream}" if isinstance(stream, str) else ":*" if asked.operation == "FilterLogEvents" else ""
        )
        resource = arn.build("logs", asked.region, asked.account, f"log-group:{group}{tail}")
    yield Need(f"logs:{asked.operation}", resource)


def _ecr(asked: Asked) -> Iterable[Need]:
    """Source: Service Authorization Reference, "… Amazon Elastic Container Registry"."""
    action, params = f"ecr:{asked.operation}", asked.params
    given = params.get("resourceArn")
    if isinstance(given, str):
        yield Need(action, given)
        return
    account = params.get("registryId") or asked.account
    named = [name for name in params.get("repositoryNames") or [params.get("repositoryName")] if isinstance(name, str)]
    for name in named:
        yield Need(action, arn.build("ecr", asked.region, account, f"repository/{name}"))
    if not named:  # of another account's registry only what that account allows
        whole = "*" if account == asked.account else arn.build("ecr", asked.region, account, "repository/*")
        yield Need(action, whole)


def _iam(asked: Asked) -> Iterable[Need]:
    params = asked.params
    resource = "*"
    for member, kind in (("RoleName", "role"), ("UserName", "user"), ("PolicyName", "policy")):
        name = params.get(member)
        if isinstance(name, str) and (kind != "policy" or asked.operation == "CreatePolicy"):
            resource = arn.build("iam", "", asked.account, f"{kind}{params.get('Path', '/')}{name}")
            break
    else:
        resource = params.get("PolicyArn", "*")
    context: dict[str, tuple[str, ...]] = {}
    for member in ("PolicyArn", "PermissionsBoundary"):
        if isinstance(params.get(member), str):
            context[f"iam:{member.lower()}"] = (params[member],)
    yield Need(f"iam:{asked.operation}", resource, context)


def _sts(asked: Asked) -> Iterable[Need]:
    if asked.operation == "AssumeRole":
        context = {
            name: (str(asked.params[member]),)
            for name, member in (("sts:externalid", "ExternalId"), ("sts:rolesessionname", "RoleSessionName"))
            if asked.params.get(member) is not None
        }
        yield Need("sts:AssumeRole", asked.params["RoleArn"], context)
    # GetCallerIdentity, GetSessionToken and GetAccessKeyInfo need no permission (STS API reference).


_OWN: Mapping[str, Callable[[Asked], Iterable[Need]]] = {
    "sagemaker": _sagemaker,
    "sagemaker-runtime": _sagemaker,
    "s3": s3_needs,
    "logs": _logs,
    "iam": _iam,
    "sts": _sts,
    "sqs": sqs_needs,
    "sns": sns_needs,
    "cloudwatch": cloudwatch_needs,
    "lambda": lambda_needs,
    "ecr": _ecr,
}
