"""Application Auto Scaling: what ``compose`` takes."""

from __future__ import annotations

from wildsage.core.errors import ValidationError
from wildsage.kit import reservedtags
from wildsage.kit.operation import service
from wildsage.services.applicationautoscaling import activities, policies, scheduledactions, targets

APPLICATION_AUTO_SCALING = service(
    "application-autoscaling",
    targets,
    policies,
    scheduledactions,
    activities,
    reserved_tag=reservedtags.worded(ValidationError),
)
