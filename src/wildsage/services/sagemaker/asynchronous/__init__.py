"""Asynchronous inference: requests wait in a queue, answers come into S3."""
