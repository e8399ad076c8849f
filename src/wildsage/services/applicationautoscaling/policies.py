"""Scaling policies: put, describe, delete."""

from __future__ import annotations

import uuid

from wildsage.core import arn
from wildsage.core.errors import ApiError, Unsupported, ValidationError
from wildsage.kit.context import Context
from wildsage.kit.kind import shown
from wildsage.kit.operation import operation
from wildsage.services.applicationautoscaling import alarms, memory, names, pages, steps, world
from wildsage.services.applicationautoscaling import target as targets
from wildsage.store.codec import Document
from wildsage.store.resources import Resource

TRACKING, STEPS = "TargetTrackingScaling", "StepScaling"
_MEMBERS = {TRACKING: "TargetTrackingScalingPolicyConfiguration", STEPS: "StepScalingPolicyConfiguration"}
_MOST = 50
"""Scaling policies a scalable target (Application Auto Scaling User Guide, quotas)."""


@operation("PutScalingPolicy")
async def put_scaling_policy(ctx: Context, request: Document) -> Document:
    """A new policy, or another configuration of one: its alarms keep their names."""
    variant = names.variant_of(request)
    before = await targets.fetch(ctx, variant)
    old = before.spec["Policies"].get(request["PolicyName"])
    kind = request.get("PolicyType") or (old["PolicyType"] if old else STEPS)
    configuration = _checked(kind, request)
    found: Document = {}

    def change(target: Resource) -> None:
        policies = target.spec["Policies"]
        known = policies.get(request["PolicyName"])
        if known and known["PolicyType"] != kind:
            raise ValidationError(
                f"The policy {request['PolicyName']} is of type {known['PolicyType']}: delete it first."
            )
        if not known and len(policies) >= _MOST:
            raise ApiError("LimitExceededException", f"A scalable target can have {_MOST} scaling policies at most.")
        found.update(_policy(ctx, request, kind, configuration, known))
        target.spec = {**target.spec, "Policies": {**policies, request["PolicyName"]: dict(found)}}
        gone = set(known["AlarmNames"] if known else ()) - set(found["AlarmNames"])
        target.state = memory.orphaned(target.state, gone)

    await targets.edit(ctx, variant, change)
    if kind == TRACKING:
        try:
            await alarms.put(ctx.platform, before.key, alarms.documents(variant, found, ctx.platform.settings.scaling))
        except ApiError as error:
            await _take_back(ctx, request, before)
            raise ValidationError(f"The alarms of the policy cannot be made: {error.message}") from error
    return {"PolicyARN": found["PolicyARN"], "Alarms": _alarms(ctx, found["AlarmNames"])}


async def _take_back(ctx: Context, request: Document, before: Resource) -> None:
    """The policy as it was, for CloudWatch does not take the new one's alarms."""
    name = request["PolicyName"]
    known = before.spec["Policies"].get(name)

    def change(target: Resource) -> None:
        policies = {**target.spec["Policies"]}
        left = policies.pop(name)["AlarmNames"] if name in policies else ()
        if known:
            policies[name] = known
        target.spec = {**target.spec, "Policies": policies}
        gone = set(left) - set(known["AlarmNames"] if known else ())
        target.state = memory.orphaned(target.state, gone)

    await targets.edit(ctx, names.variant_of(request), change)


def _policy(ctx: Context, request: Document, kind: str, configuration: Document, known: Document | None) -> Document:
    """As the target keeps it."""
    resource_id, name = request["ResourceId"], request["PolicyName"]
    wanted = alarms.new_names(resource_id, configuration) if kind == TRACKING else []
    if known:
        there = {alarms.is_high(each): each for each in known["AlarmNames"]}
        wanted = [there.get(alarms.is_high(each), each) for each in wanted]
        return {**known, "Configuration": configuration, "AlarmNames": wanted}
    return {
        "PolicyARN": names.part_arn("policy", ctx.region, ctx.account, str(uuid.uuid4()), resource_id, name),
        "PolicyType": kind,
        "Configuration": configuration,
        "AlarmNames": wanted,
        "CreationTime": shown(ctx.now),
    }


def _checked(kind: str, request: Document) -> Document:
    """The configuration. Raises ValidationException, Unsupported."""
    if kind not in _MEMBERS:
        raise Unsupported(f"Wildsage does not have policies of type {kind}: use {TRACKING} or {STEPS}.")
    own = _MEMBERS[kind]
    others = [member for member in (*_MEMBERS.values(), "PredictiveScalingPolicyConfiguration") if member != own]
    for member in others:
        if request.get(member):
            raise ValidationError(f"{member} does not belong to a policy of type {kind}.")
    if not request.get(own):
        raise ValidationError(f"{own} is required for a policy of type {kind}.")
    configuration: Document = request[own]
    if kind == STEPS:
        steps.check(configuration)
    else:
        _check_tracking(configuration)
    return configuration


def _check_tracking(configuration: Document) -> None:
    predefined = configuration.get("PredefinedMetricSpecification")
    custom: Document = configuration.get("CustomizedMetricSpecification") or {}
    if bool(predefined) == bool(custom):
        raise ValidationError("Specify exactly one of PredefinedMetricSpecification and CustomizedMetricSpecification.")
    if not configuration["TargetValue"] > 0:
        raise ValidationError(f"TargetValue must be greater than 0, not {configuration['TargetValue']}.")
    if predefined:
        kind = predefined["PredefinedMetricType"]
        if kind not in alarms.PREDEFINED:
            raise Unsupported(
                f"Wildsage does not have the metric {kind} for variants of endpoints: use "
                f"{', '.join(alarms.PREDEFINED)} or a CustomizedMetricSpecification."
            )
        return
    single = ("MetricName", "Namespace", "Statistic")
    if custom.get("Metrics"):
        if any(custom.get(member) for member in single):
            raise ValidationError("CustomizedMetricSpecification has either Metrics or a single metric, not both.")
        return
    for member in single:
        if not custom.get(member):
            raise ValidationError(f"{member} is required in CustomizedMetricSpecification, or Metrics.")


def _alarms(ctx: Context, wanted: list[str]) -> list[Document]:
    return [
        {"AlarmName": name, "AlarmARN": arn.build("cloudwatch", ctx.region, ctx.account, f"alarm:{name}")}
        for name in wanted
    ]


@operation("DescribeScalingPolicies")
async def describe_scaling_policies(ctx: Context, request: Document) -> Document:
    """Those of step scaling with whatever alarms have them among their actions."""
    names.check_namespace(request)
    found = await targets.parts_in(ctx, "Policies", request, "PolicyNames")
    answer = pages.page(
        request,
        "ScalingPolicies",
        found,
        lambda each: f"{each[0].key.name}|{each[1]}",
        lambda each: _described(ctx, each[0], each[1]),
    )
    there = {target.key.name: target for target, _ in found}
    for each in answer["ScalingPolicies"]:
        if each["PolicyType"] == STEPS:
            target = there[each["ResourceId"]]
            on = await world.alarms_of(ctx.platform, target.key, target.spec["Policies"][each["PolicyName"]])
            each["Alarms"] = _alarms(ctx, [alarm["AlarmName"] for alarm in on])
    return answer


def _described(ctx: Context, target: Resource, name: str) -> Document:
    policy = target.spec["Policies"][name]
    return {
        "PolicyARN": policy["PolicyARN"],
        "PolicyName": name,
        **names.about(target.key.name),
        "PolicyType": policy["PolicyType"],
        _MEMBERS[policy["PolicyType"]]: policy["Configuration"],
        "Alarms": _alarms(ctx, policy["AlarmNames"]),
        "CreationTime": policy["CreationTime"],
    }


@operation("DeleteScalingPolicy")
async def delete_scaling_policy(ctx: Context, request: Document) -> Document:
    """The alarms of a target tracking policy go with it."""
    variant, name = names.variant_of(request), request["PolicyName"]
    left: list[str] = []

    def change(target: Resource) -> None:
        if name not in target.spec["Policies"]:
            raise names.missing(f"No scaling policy found {names.of_target(variant.resource_id)}, policy name: {name}")
        policies = dict(target.spec["Policies"])
        left[:] = policies.pop(name)["AlarmNames"]
        target.spec = {**target.spec, "Policies": policies}
        target.state = memory.orphaned(target.state, left)

    found = await targets.edit(ctx, variant, change)
    await alarms.delete(ctx.platform, found.key, left)
    return {}
