"""What CreateTrainingJob checks beyond the model, and how a job's public status moves. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from typing import Any

from wildsage.core.errors import Unsupported, ValidationError
from wildsage.images import algorithms, uris
from wildsage.services.sagemaker.instance import jobs, places, reasons
from wildsage.services.sagemaker.instance.accepted import ANY, Tree, refuse_beyond
from wildsage.services.sagemaker.instance.archives import Packed
from wildsage.services.sagemaker.instance.inputs.channel import FileSystems
from wildsage.services.sagemaker.training.inputs import channels
from wildsage.services.sagemaker.training.warm import rules as warm
from wildsage.store.codec import Document

DEFAULT_MAX_RUNTIME = 86_400
PEER_GRACE = 30.0
"""Seconds that the other instances have for their end when one has failed."""
MOST_INSTANCES = 64
_UNSAVED = (
    3600  # seconds that a built-in algorithm without checkpoints may wait (Developer Guide, managed spot training)
)
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
        "TrainingImageConfig": {
            "TrainingRepositoryAccessMode": ("Platform", "Vpc"),
            "TrainingRepositoryAuthConfig": {"TrainingRepositoryCredentialsProviderArn": None},
        },
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
        "KeepAlivePeriodInSeconds": None,
    },
    "VpcConfig": ANY,
    "StoppingCondition": {
        "MaxRuntimeInSeconds": None,
        "MaxWaitTimeInSeconds": None,
        "MaxPendingTimeInSeconds": None,  # it takes effect for accelerated instances only (API reference)
    },
    "EnableManagedSpotTraining": None,
    "CheckpointConfig": {"S3Uri": None, "LocalPath": None},
    "RetryStrategy": {"MaximumRetryAttempts": None},
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
    "Pending": "Training job waiting for capacity",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Uploading": "Uploading generated training model",
    "Stopping": "Stopping the training job",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
    "MaxWaitTimeExceeded": "Training job exceeded MaxWaitTimeInSeconds provided",
    "Interrupted": "Training job interrupted: the managed spot training instances were reclaimed",
}


def check(request: Document, file_systems: FileSystems) -> None:
    """Raises ValidationError in AWS's words, Unsupported for what is not run yet."""
    algorithm = request.get("AlgorithmSpecification") or {}
    if not algorithm.get("TrainingImage") and not algorithm.get("AlgorithmName"):
        raise ValidationError("You must specify either TrainingImage or AlgorithmName in AlgorithmSpecification.")
    refuse_beyond(request, _ACCEPTED)
    _check_resources(request.get("ResourceConfig") or {})
    _check_spot(request)
    warm.check(request)
    if request.get("CheckpointConfig"):
        _check_checkpoints(request["CheckpointConfig"])
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


def _check_spot(request: Document) -> None:
    stopping = request.get("StoppingCondition") or {}
    wait, runtime = stopping.get("MaxWaitTimeInSeconds"), stopping.get("MaxRuntimeInSeconds", DEFAULT_MAX_RUNTIME)
    if not request.get("EnableManagedSpotTraining"):
        if wait is not None:
            raise ValidationError("MaxWaitTimeInSeconds can only be specified if EnableManagedSpotTraining is true.")
        return
    if wait is None or wait < runtime:
        raise ValidationError(
            "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to MaxRuntimeInSeconds"
        )
    if wait > _UNSAVED and built_in(request) and not request.get("CheckpointConfig"):
        raise ValidationError(f"MaxWaitTimeInSeconds above {_UNSAVED} is not supported for the given algorithm.")


def _check_checkpoints(config: Document) -> None:
    _check_uri(config["S3Uri"], "CheckpointConfig S3Uri")
    path = posixpath.normpath(config.get("LocalPath") or "/opt/ml/checkpoints")
    taken = [f"/opt/ml/{name}" for name in ("input", "model", "output", "code")]
    if not path.startswith("/") or any(
        each == path or each.startswith(path.rstrip("/") + "/") for each in (*taken, "/opt/ml")
    ):
        raise ValidationError(f"The LocalPath of CheckpointConfig must be a folder of its own, not {path}.")
    if any(path.startswith(f"{each}/") for each in taken):
        raise ValidationError(f"The LocalPath of CheckpointConfig, {path}, is within a folder that SageMaker fills.")


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
    output = {"KmsKeyId": "", "CompressionType": "GZIP", **request["OutputDataConfig"]}
    flags = {
        name: bool(request.get(name))
        for name in ("EnableNetworkIsolation", "EnableInterContainerTrafficEncryption", "EnableManagedSpotTraining")
    }
    found = {**request, "StoppingCondition": stopping, "OutputDataConfig": output, **flags}
    if name := built_in(request):
        metrics = {"MetricDefinitions": algorithms.metric_definitions(name), "EnableSageMakerMetricsTimeSeries": True}
        found["AlgorithmSpecification"] = {**request["AlgorithmSpecification"], **metrics}
    return found


def enter(status: Document, secondary: str, now: float) -> Document:
    """The status after the job entered ``secondary``; entering the one it is in changes nothing."""
    transitions: list[dict[str, Any]] = [dict(each) for each in status.get("SecondaryStatusTransitions", ())]
    if transitions and transitions[-1]["Status"] == secondary:
        return status
    if transitions:
        transitions[-1]["EndTime"] = now
    transitions.append({"Status": secondary, "StartTime": now, "StatusMessage": _MESSAGES[secondary]})
    if secondary in (*jobs.TERMINAL, "MaxRuntimeExceeded", "MaxWaitTimeExceeded"):
        transitions[-1]["EndTime"] = now
    return {**status, "SecondaryStatus": secondary, "SecondaryStatusTransitions": transitions}


def missing(packed: Packed) -> str:
    """What the log says of what the containers wrote and the artifacts do not have; empty if they have it all.

    AWS says nothing of pipes and the like, and of links that an endpoint cannot be created with them.
    """
    lines = []
    if packed.clashing:
        lines.append(
            f"[wildsage] Several instances wrote {_shown(packed.clashing)}; the artifact holds the file of the first "
            "of them. Names must not clash (Developer Guide, How Amazon SageMaker Processes Training Output): put "
            "SM_CURRENT_HOST into them."
        )
    if packed.odd:
        lines.append(
            f"[wildsage] Left out of the artifact: {_shown(packed.odd)}. Pipes, sockets and devices mean nothing "
            "outside of the container; write files."
        )
    if packed.outward:
        lines.append(
            f"[wildsage] Links that lead out of their folder: {_shown(packed.outward)}. The artifact holds where they "
            "point and not what is there, and no endpoint can be created from it: copy the files."
        )
    return "\n".join(lines)


def _shown(names: Sequence[str]) -> str:
    return reasons.some([f"/opt/ml/{name}" for name in names])
