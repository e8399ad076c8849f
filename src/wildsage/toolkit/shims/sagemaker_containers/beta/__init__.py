"""The folder that everything of sagemaker-containers is in."""
