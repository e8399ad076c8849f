"""What CreateProcessingJob checks beyond the model, and what AWS fills in. Pure.

Source: API reference, CreateProcessingJob, ProcessingInput, ProcessingS3Input, ProcessingOutput, ProcessingS3Output.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Sequence

from wildsage.core.errors import Unsupported, ValidationError
from wildsage.services.sagemaker.instance import places, reasons
from wildsage.services.sagemaker.instance.accepted import ANY, Tree, refuse_beyond
from wildsage.store.codec import Document

DEFAULT_MAX_RUNTIME = 86_400
STOP_GRACE = 120.0
PEER_GRACE = 30.0
"""Seconds that the other instances have for their end when one has failed."""
MOST_INSTANCES = 64
LOST = reasons.lost("processing", "output")
FOLDER = "/opt/ml/processing"
_ML = "/opt/ml"
_OURS = ("/opt/ml/config",)

# What runs. ExperimentConfig is sent by the SDKs unasked; it is kept and described. VpcConfig is kept too; the job's
# log says that it changes nothing here.
_ACCEPTED: Tree = {
    "ProcessingJobName": None,
    "ProcessingInputs": {
        "InputName": None,
        "AppManaged": None,
        "S3Input": {
            "S3Uri": None,
            "LocalPath": None,
            "S3DataType": None,
            "S3InputMode": None,
            "S3DataDistributionType": None,
            "S3CompressionType": None,
        },
    },
    "ProcessingOutputConfig": {
        "Outputs": {
            "OutputName": None,
            "AppManaged": None,
            "S3Output": {"S3Uri": None, "LocalPath": None, "S3UploadMode": None},
        }
    },
    "ProcessingResources": {
        "ClusterConfig": {
            "InstanceType": None,
            "InstanceCount": None,
            "VolumeSizeInGB": None,
            "InstancePreferences": {"InstanceType": None, "InstanceCount": None},
        }
    },
    "StoppingCondition": {"MaxRuntimeInSeconds": None},
    "AppSpecification": {"ImageUri": None, "ContainerEntrypoint": None, "ContainerArguments": None},
    "Environment": None,
    "NetworkConfig": {
        "EnableInterContainerTrafficEncryption": None,
        "EnableNetworkIsolation": None,
        "VpcConfig": ANY,
    },
    "RoleArn": None,
    "Tags": None,
    "ExperimentConfig": ANY,
}


def outputs_of(document: Document) -> list[Document]:
    """The outputs; none if there is no ProcessingOutputConfig."""
    return (document.get("ProcessingOutputConfig") or {}).get("Outputs") or []


def path_of(local_path: str) -> str:
    """A LocalPath without a slash at the end or two in a row."""
    return posixpath.normpath(local_path)


def within(path: str, folder: str) -> bool:
    """Whether one normal path is the other, or lies below it."""
    return f"{path}/".startswith(f"{folder}/")


def check(request: Document) -> None:
    """Raises ValidationError in AWS's words where they are known, Unsupported for what is not run."""
    refuse_beyond(request, _ACCEPTED)
    _check_cluster(request["ProcessingResources"]["ClusterConfig"])
    inputs, outputs = request.get("ProcessingInputs") or [], outputs_of(request)
    _check_unique("Input names", (each["InputName"] for each in inputs))
    _check_unique("Output names", (each["OutputName"] for each in outputs))
    for each in inputs:
        _check_input(each)
    for each in outputs:
        _check_output(each)
    taken = [each["S3Input"] for each in inputs if not each.get("AppManaged")]
    _check_unique("The LocalPath of inputs", (path_of(each["LocalPath"]) for each in taken))
    piped = [path_of(each["LocalPath"]) for each in taken if each.get("S3InputMode") == "Pipe"]
    for path in (path_of(each["LocalPath"]) for each in taken):
        if any(re.fullmatch(rf"{re.escape(pipe)}_\d+", path) for pipe in piped):
            raise ValidationError(f"LocalPath {path} is the name of a pipe of another input, which has Pipe mode.")
    given = [each["S3Output"] for each in outputs if not each.get("AppManaged")]
    _check_unique("The LocalPath of outputs", (path_of(each["LocalPath"]) for each in given))


def _check_cluster(cluster: Document) -> None:
    preferences = cluster.get("InstancePreferences")
    if bool(preferences) == bool(cluster.get("InstanceType")):
        raise ValidationError("ClusterConfig must have exactly one of InstanceType and InstancePreferences.")
    for name in ("SelectedInstanceType", "SelectedInstanceCount"):
        if name in cluster:
            raise ValidationError(f"{name} is read-only; CreateProcessingJob does not accept it.")
    for each in preferences or [cluster]:
        count = each.get("InstanceCount") or 1
        if count > MOST_INSTANCES:
            raise Unsupported(
                f"ClusterConfig asks for {count} instances; a machine runs at most {MOST_INSTANCES} of one job."
            )


def _check_unique(what: str, names: Iterable[str]) -> None:
    found: Sequence[str] = list(names)
    for name in found:
        if found.count(name) > 1:
            raise ValidationError(f"{what} must be unique within a processing job, but {name} is there twice.")


def _check_input(given: Document) -> None:
    name, source = given["InputName"], given.get("S3Input")
    if not source:
        raise ValidationError(f"Input {name} must have exactly one of S3Input and DatasetDefinition.")
    place = _check_uri(source["S3Uri"], f"input {name}")
    if given.get("AppManaged"):
        return
    _check_path(source.get("LocalPath"), FOLDER, f"input {name}")
    if source["S3DataType"] == "ManifestFile" and not place.key:
        raise ValidationError(f"S3Uri of input {name} must name an object, because its S3DataType is ManifestFile.")
    if source.get("S3CompressionType") == "Gzip" and source.get("S3InputMode") != "Pipe":
        raise ValidationError(
            f"S3CompressionType Gzip can only be used if S3InputMode is Pipe; input {name} has "
            f"{source.get('S3InputMode') or 'File'}."
        )


def _check_output(given: Document) -> None:
    name, target = given["OutputName"], given.get("S3Output")
    if not target:
        raise ValidationError(f"Output {name} must have exactly one of S3Output and FeatureStoreOutput.")
    _check_uri(target["S3Uri"], f"output {name}")
    if not given.get("AppManaged"):
        _check_path(target.get("LocalPath"), _ML, f"output {name}")


def _check_path(path: str | None, below: str, whose: str) -> None:
    if not path:
        raise ValidationError(f"LocalPath of {whose} is required, because AppManaged is False.")
    normal = path_of(path)
    if not within(normal, below) or normal == _ML or any(within(normal, ours) for ours in _OURS):
        raise ValidationError(f"LocalPath of {whose} must be an absolute path that begins with {FOLDER}/, not {path}.")


def _check_uri(uri: str, whose: str) -> places.Location:
    try:
        return places.parse(uri)
    except ValueError:
        raise ValidationError(
            f"The S3Uri of {whose} is not a valid S3 URI: {uri}. It must have the form s3://bucket/prefix."
        ) from None


def complete(request: Document) -> Document:
    """The document as Describe shows it: what AWS fills in is there."""
    found = {"StoppingCondition": {"MaxRuntimeInSeconds": DEFAULT_MAX_RUNTIME}, **request}
    cluster = dict(request["ProcessingResources"]["ClusterConfig"])
    if preferences := cluster.get("InstancePreferences"):
        # The first is at hand: every instance is this machine.
        cluster["SelectedInstanceType"] = preferences[0]["InstanceType"]
        cluster["SelectedInstanceCount"] = preferences[0].get("InstanceCount") or cluster.get("InstanceCount") or 1
    else:
        cluster.setdefault("InstanceCount", 1)
    found["ProcessingResources"] = {**request["ProcessingResources"], "ClusterConfig": cluster}
    if "ProcessingInputs" in request:
        found["ProcessingInputs"] = [_completed_input(each) for each in request["ProcessingInputs"]]
    if config := request.get("ProcessingOutputConfig"):
        outputs = [{"AppManaged": False, **each} for each in config["Outputs"]]
        found["ProcessingOutputConfig"] = {**config, "Outputs": outputs}
    return found


def _completed_input(given: Document) -> Document:
    filled = {"S3InputMode": "File", "S3DataDistributionType": "FullyReplicated", "S3CompressionType": "None"}
    return {"AppManaged": False, **given, "S3Input": {**filled, **given["S3Input"]}}


def missing(clashing: Sequence[str], odd: Sequence[str]) -> str:
    """What the log says of files that several instances have for one object, and of what is no file; "" if none is."""
    lines = []
    if clashing:
        lines.append(
            f"[wildsage] Several instances wrote {reasons.some(clashing)}; S3 keeps the file of the first of them. Put "
            "current_host of /opt/ml/config/resourceconfig.json into the names."
        )
    if odd:
        lines.append(
            f"[wildsage] Not uploaded: {reasons.some(odd)}. Links, pipes, sockets and devices cannot be objects; write "
            "files."
        )
    return "\n".join(lines)
