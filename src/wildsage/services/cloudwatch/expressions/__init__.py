"""Metric math (CloudWatch User Guide, "Using math expressions with CloudWatch metrics"). Pure."""
