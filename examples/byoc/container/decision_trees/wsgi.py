"""What gunicorn loads. Replace predictor.py, and leave this as it is."""

from predictor import app

__all__ = ["app"]
