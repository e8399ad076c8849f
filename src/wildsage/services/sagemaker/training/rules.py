"""What CreateTrainingJob checks beyond the model, and how a job's public status moves. Pure."""

from __future__ import annotations

import re
from typing import Any

from wildsage.core.errors import ApiError, Unsupported, ValidationError
from wildsage.images import algorithms, uris
from wildsage.services.sagemaker.instance import places, reasons
from wildsage.services.sagemaker.instance.accepted import ANY, Tree, refuse_beyond
from wildsage.services.sagemaker.instance.inputs.channel import FileSystems
from wildsage.services.sagemaker.training.inputs import channels
from wildsage.store.codec import Document

DEFAULT_MAX_RUNTIME = 86_400
STOP_GRACE = 120.0
PEER_GRACE = 30.0
"""Seconds that the other instances have for their end when one has failed."""
MOST_INSTANCES = 64
_NAMES_SHOWN = 5
TERMINAL = ("Completed", "Failed", "Stopped")
LOST = reasons.lost("training", "model")

# What runs. ProfilerConfig, DebugHookConfig and ExperimentConfig are sent by the SDKs unasked; they are kept and
# described. VpcConfig is kept too; the job's log says that it changes nothing here.
_ACCEPTED: Tree = {
    "TrainingJobName": None,
    "HyperParameters": None,
    "AlgorithmSpecification": {
        "TrainingImage": None,
        "TrainingInputMode": None,
        "MetricDefinitions": None,
        "EnableSageMakerMetricsTimeSeries": None,
        "ContainerEntrypoint": None,
        "ContainerArguments": None,
    },
    "RoleArn": None,
    "InputDataConfig": channels.ACCEPTED,
    "OutputDataConfig": {"S3OutputPath": None, "CompressionType": ("GZIP",)},
    "ResourceConfig": {
        "InstanceType": None,
        "InstanceCount": None,
        "InstanceGroups": {"InstanceType": None, "InstanceCount": None, "InstanceGroupName": None},
        "VolumeSizeInGB": None,
    },
    "VpcConfig": ANY,
    "StoppingCondition": {"MaxRuntimeInSeconds": None, "MaxPendingTimeInSeconds": None},
    "Tags": None,
    "EnableNetworkIsolation": None,
    "EnableInterContainerTrafficEncryption": None,
    "DebugHookConfig": ANY,
    "ExperimentConfig": ANY,
    "ProfilerConfig": ANY,
    "Environment": None,
    "RemoteDebugConfig": {"EnableRemoteDebug": (False,)},
    "InfraCheckConfig": ANY,
}

_MESSAGES = {
    "Starting": "Preparing the instances for training",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Uploading": "Uploading generated training model",
    "Stopping": "Stopping the training job",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
}


def check(request: Document, file_systems: FileSystems) -> None:
    """Raises ValidationError in AWS's words, Unsupported for what is not run yet."""
    algorithm = request.get("AlgorithmSpecification") or {}
    if not algorithm.get("TrainingImage") and not algorithm.get("AlgorithmName"):
        raise ValidationError("You must specify either TrainingImage or AlgorithmName in AlgorithmSpecification.")
    refuse_beyond(request, _ACCEPTED)
    _check_resources(request.get("ResourceConfig") or {})
    channels.check(request, file_systems)
    _check_uri(request["OutputDataConfig"]["S3OutputPath"], "S3OutputPath")
    _check_metrics(algorithm.get("MetricDefinitions") or [])
    if algorithm.get("MetricDefinitions") and built_in(request):
        raise ValidationError(
            "You can't override the metric definitions for Amazon SageMaker algorithms. Please retry the request "
            "without specifying metric definitions."
        )


def built_in(request: Document) -> str:
    """The built-in algorithm that the job's image runs by itself; empty where there is none, or a script is given."""
    algorithm = request.get("AlgorithmSpecification") or {}
    image = uris.framework_image(algorithm.get("TrainingImage") or "")
    if image is None or algorithm.get("ContainerEntrypoint"):
        return ""
    scripted = "sagemaker_program" in (request.get("HyperParameters") or {})
    return "" if scripted or "SAGEMAKER_PROGRAM" in (request.get("Environment") or {}) else image.algorithm


def _check_resources(resources: Document) -> None:
    groups = resources.get("InstanceGroups") or []
    if groups and (resources.get("InstanceType") or resources.get("InstanceCount")):
        raise ValidationError("ResourceConfig can have InstanceGroups or InstanceType and InstanceCount, not both.")
    for each in groups or [resources]:
        if not each.get("InstanceType") or not each.get("InstanceCount"):
            raise ValidationError("ResourceConfig must have InstanceType and InstanceCount.")
    names = [group["InstanceGroupName"] for group in groups]
    for name in names:
        if names.count(name) > 1:
            raise ValidationError(f"Instance group names must be unique, but found duplicate group name: {name}")
    count = sum(each["InstanceCount"] for each in groups or [resources])
    if count > MOST_INSTANCES:
        raise Unsupported(
            f"ResourceConfig asks for {count} instances; a machine runs at most {MOST_INSTANCES} of one job."
        )


def _check_uri(uri: str, field: str) -> None:
    try:
        places.parse(uri)
    except ValueError:
        raise ValidationError(
            f"The {field} that you specified is not a valid S3 URI: {uri}. It must have the form s3://bucket/prefix."
        ) from None


def _check_metrics(definitions: list[Document]) -> None:
    for definition in definitions:
        try:
            re.compile(definition["Regex"])
        except (re.error, OverflowError, RecursionError) as error:
            raise ValidationError(
                f"The regular expression of metric definition {definition['Name']} is not valid: {error}"
            ) from None


def complete(request: Document) -> Document:
    """The document as Describe shows it: what AWS fills in is there."""
    stopping = {"MaxRuntimeInSeconds": DEFAULT_MAX_RUNTIME, **(request.get("StoppingCondition") or {})}
    output = {"CompressionType": "GZIP", **request["OutputDataConfig"]}
    flags = {
        name: bool(request.get(name))
        for name in ("EnableNetworkIsolation", "EnableInterContainerTrafficEncryption", "EnableManagedSpotTraining")
    }
    found = {**request, "StoppingCondition": stopping, "OutputDataConfig": output, **flags}
    if name := built_in(request):
        metrics = {"MetricDefinitions": algorithms.metric_definitions(name), "EnableSageMakerMetricsTimeSeries": True}
        found["AlgorithmSpecification"] = {**request["AlgorithmSpecification"], **metrics}
    return found


def check_stop(phase: str) -> None:
    """Raises ValidationError for a job that cannot be stopped any more."""
    if phase in TERMINAL:
        raise ValidationError(f"The request was rejected because the training job is in status {phase}.")


def check_delete(phase: str, arn: str) -> None:
    """Only a job that has ended can be deleted (API reference, DeleteTrainingJob)."""
    if phase not in TERMINAL:
        raise ApiError(
            "ResourceInUse",
            f"The training job {arn} is in status {phase}. Stop it, or wait for its end, before deleting it.",
        )


def enter(status: Document, secondary: str, now: float) -> Document:
    """The status after the job entered ``secondary``; entering the one it is in changes nothing."""
    transitions: list[dict[str, Any]] = [dict(each) for each in status.get("SecondaryStatusTransitions", ())]
    if transitions and transitions[-1]["Status"] == secondary:
        return status
    if transitions:
        transitions[-1]["EndTime"] = now
    transitions.append({"Status": secondary, "StartTime": now, "StatusMessage": _MESSAGES[secondary]})
    if secondary in (*TERMINAL, "MaxRuntimeExceeded"):
        transitions[-1]["EndTime"] = now
    return {**status, "SecondaryStatus": secondary, "SecondaryStatusTransitions": transitions}


def ended(status: Document, now: float) -> Document:
    """The status with the times of a job that is over; the clock starts when instances are ready for the input."""
    status = {**status, "TrainingEndTime": now}
    started = status.get("TrainingStartTime")
    if started is not None:
        spent = max(round(now - started), 1)
        status.update(TrainingTimeInSeconds=spent, BillableTimeInSeconds=spent)
    return status


def left_out(names: list[str]) -> str:
    """What the log says of files that several instances have under one name."""
    shown = ", ".join(f"/opt/ml/{name}" for name in names[:_NAMES_SHOWN])
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return (
        f"[wildsage] Several instances wrote {shown}{more}; the artifact holds the file of the first of them. "
        "Names must not clash (Developer Guide, How Amazon SageMaker Processes Training Output): put SM_CURRENT_HOST "
        "into them."
    )
