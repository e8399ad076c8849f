"""What CreateTransformJob checks beyond the model, and what AWS fills in. Pure.

Source: API reference, CreateTransformJob, TransformInput, TransformOutput, DataProcessing; Developer Guide, "Associate
Prediction Results with Input Records".
"""

from __future__ import annotations

from wildsage.core import jsonpath
from wildsage.core.errors import Unsupported, ValidationError
from wildsage.core.routes import SERIAL
from wildsage.core.transforms import CSV, JSON_TYPES, MOST_MIB, base_type
from wildsage.services.sagemaker.instance import places
from wildsage.services.sagemaker.instance.accepted import ANY, Tree, refuse_beyond
from wildsage.services.sagemaker.models.containers import containers_of, mode_of
from wildsage.store.codec import Document

MOST_INSTANCES = 100
_FILTERS = {"InputFilter": "$", "OutputFilter": "$", "JoinSource": "None"}

# ExperimentConfig is sent by the SDKs unasked; it is kept and described.
_ACCEPTED: Tree = {
    "TransformJobName": None,
    "ModelName": None,
    "MaxConcurrentTransforms": None,
    "ModelClientConfig": {"InvocationsTimeoutInSeconds": None, "InvocationsMaxRetries": None},
    "MaxPayloadInMB": None,
    "BatchStrategy": None,
    "Environment": None,
    "TransformInput": {
        "DataSource": {"S3DataSource": {"S3DataType": None, "S3Uri": None}},
        "ContentType": None,
        "CompressionType": None,
        "SplitType": None,
    },
    "TransformOutput": {"S3OutputPath": None, "Accept": None, "AssembleWith": None, "KmsKeyId": None},
    "TransformResources": {"InstanceType": None, "InstanceCount": None},
    "DataProcessing": {"InputFilter": None, "OutputFilter": None, "JoinSource": None},
    "Tags": None,
    "ExperimentConfig": ANY,
}


def check(request: Document) -> None:
    """Raises ValidationError in AWS's words where they are known, Unsupported for what is not run."""
    refuse_beyond(request, _ACCEPTED)
    source = request["TransformInput"]["DataSource"]["S3DataSource"]
    if source["S3DataType"] not in ("S3Prefix", "ManifestFile"):
        raise ValidationError(
            f"S3DataType {source['S3DataType']} is not compatible with batch transform. Use S3Prefix or ManifestFile."
        )
    place = _place(source["S3Uri"], "S3Uri")
    if source["S3DataType"] == "ManifestFile" and not place.key:
        raise ValidationError("S3Uri must name an object, because S3DataType is ManifestFile.")
    _place(request["TransformOutput"]["S3OutputPath"], "S3OutputPath")
    for name, value in (
        ("ContentType", request["TransformInput"].get("ContentType", "")),
        ("Accept", request["TransformOutput"].get("Accept", "")),
    ):
        if not (value.isascii() and value.isprintable()):
            raise ValidationError(f"{name} {value!r} cannot be sent as a header: use printable ASCII characters only.")
    count = request["TransformResources"]["InstanceCount"]
    if count > MOST_INSTANCES:
        raise ValidationError(f"InstanceCount {count} is more than the maximum of {MOST_INSTANCES}.")
    _check_payload(request.get("MaxPayloadInMB"), request.get("MaxConcurrentTransforms") or 0)
    if request.get("DataProcessing"):
        _check_processing(request, {**_FILTERS, **request["DataProcessing"]})


def _check_payload(payload: int | None, concurrent: int) -> None:
    if payload is not None and payload > MOST_MIB:
        raise ValidationError(f"MaxPayloadInMB cannot be greater than {MOST_MIB} MB, but it is {payload}.")
    if payload and payload * concurrent > MOST_MIB:
        raise ValidationError(
            f"MaxConcurrentTransforms * MaxPayloadInMB cannot exceed {MOST_MIB} MB, but it is {concurrent} * {payload}."
        )
    if concurrent > MOST_MIB:
        raise ValidationError(f"MaxConcurrentTransforms {concurrent} is more than {MOST_MIB} payloads of 1 MB.")


def _check_processing(request: Document, asked: Document) -> None:
    taken, given = request["TransformInput"], request["TransformOutput"]
    kind = base_type(taken.get("ContentType") or "")
    for name in ("InputFilter", "OutputFilter"):
        try:
            jsonpath.parse(asked[name], csv=kind == CSV)
        except jsonpath.InvalidPath as error:
            raise ValidationError(f'Invalid {name}: "{asked[name]}". {error}') from None
    if asked == _FILTERS:
        return
    if kind != CSV and kind not in JSON_TYPES:
        raise ValidationError(
            f"DataProcessing needs a ContentType of {CSV}, {' or '.join(JSON_TYPES)}, not {kind or 'none'}."
        )
    accept = base_type(given.get("Accept") or kind)
    if (accept == CSV) is not (kind == CSV) or (accept != CSV and accept not in JSON_TYPES):
        raise ValidationError(
            f"DataProcessing needs the same format for input and output, but ContentType is {kind} and Accept {accept}."
        )
    lines = (taken.get("SplitType"), given.get("AssembleWith")) == ("Line", "Line")
    if kind == CSV and not lines:
        raise ValidationError(f"DataProcessing of {CSV} needs SplitType Line and AssembleWith Line.")
    if taken.get("SplitType", "None") not in ("None", "Line"):
        raise ValidationError(f"DataProcessing is not possible with SplitType {taken['SplitType']}; use Line.")
    if base_type(kind) == JSON_TYPES[1] and taken.get("SplitType") != "Line":
        raise ValidationError(f"DataProcessing of {JSON_TYPES[1]} needs SplitType Line.")
    if request.get("MaxPayloadInMB") == 0:
        raise ValidationError("DataProcessing is not possible with MaxPayloadInMB 0: a streamed object has no records.")


def _place(uri: str, name: str) -> places.Location:
    try:
        return places.parse(uri)
    except ValueError:
        raise ValidationError(f"{name} {uri} is not valid. It must have the form s3://bucket/prefix.") from None


def check_model(model: Document) -> None:
    """Raises ValidationError for a model that no transform job can use."""
    several = containers_of(model)
    if any(each.many for each in several):
        raise ValidationError(
            "Batch transform does not support multi-model endpoints: give the model Mode SingleModel."
        )
    if mode_of(model) not in ("", SERIAL):
        raise Unsupported(
            "Batch transform asks the containers of a model one after the other; InferenceExecutionConfig.Mode must be "
            f"{SERIAL}."
        )


def complete(request: Document) -> Document:
    """The document as Describe shows it: what AWS fills in is there."""
    return {
        **request,
        "TransformInput": {"CompressionType": "None", "SplitType": "None", **request["TransformInput"]},
        "TransformOutput": {"AssembleWith": "None", "KmsKeyId": "", **request["TransformOutput"]},
        "DataProcessing": {**_FILTERS, **(request.get("DataProcessing") or {})},
    }
