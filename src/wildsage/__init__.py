"""Wildsage: Amazon SageMaker's API, served from your own machine and your own cluster."""

__version__ = "0.1.0"
