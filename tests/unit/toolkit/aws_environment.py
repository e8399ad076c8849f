"""Run under an interpreter that has sagemaker-training: prints the SM_* variables that it gives a job, as JSON."""

import json

from sagemaker_training.environment import Environment

print(json.dumps(Environment().to_env_vars()))
