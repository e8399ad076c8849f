"""The image's kinds of failure (its ``sagemaker_algorithm_toolkit.exceptions``)."""

from __future__ import annotations


class UserError(Exception):
    """What the caller can cure."""


class AlgorithmError(Exception):
    """What went wrong while training."""
