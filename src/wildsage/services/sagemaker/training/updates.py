"""What UpdateTrainingJob changes of a job that is there. Pure.

Source: API reference, UpdateTrainingJob.  Debugger's profiler and its rules do not run here: as at creation,
ProfilerConfig is kept and described, and rules and remote debugging are refused by name.
"""

from __future__ import annotations

from typing import Final

from wildsage.core.errors import ValidationError
from wildsage.services.sagemaker.instance.accepted import ANY, Tree, refuse_beyond
from wildsage.store.codec import Document
from wildsage.store.resources import Resource

_ACCEPTED: Final[Tree] = {
    "TrainingJobName": None,
    "ResourceConfig": {"KeepAlivePeriodInSeconds": None},
    "ProfilerConfig": ANY,
    "RemoteDebugConfig": {"EnableRemoteDebug": (False,)},
}
_DEBUGGED_IN: Final = ("Downloading", "Training")


def check(request: Document, job: Resource) -> None:
    """Raises Unsupported for what changes nothing here, ValidationError for a job whose time for it is over."""
    refuse_beyond(request, _ACCEPTED)
    if request.get("ProfilerConfig") is not None and job.phase != "InProgress":
        raise ValidationError(
            f"ProfilerConfig can only be updated while the training job is InProgress; it is {job.phase}."
        )
    secondary = job.status["SecondaryStatus"]
    if request.get("RemoteDebugConfig") is not None and secondary not in _DEBUGGED_IN:
        raise ValidationError(
            "RemoteDebugConfig can only be updated while the SecondaryStatus of the training job is Downloading or "
            f"Training; it is {secondary}."
        )


def updated(spec: Document, request: Document) -> Document:
    """The create document as Describe shows it from now on: of a structure only the fields that are given change."""
    given = {name: request[name] for name in _ACCEPTED if isinstance(request.get(name), dict)}
    return {**spec, **{name: {**(spec.get(name) or {}), **value} for name, value in given.items()}}
