"""``from sagemaker_containers.beta.framework import content_types, encoders, env, modules, transformer, worker``."""
