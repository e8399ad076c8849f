"""What scripts import of aws/sagemaker-containers, the toolkit before sagemaker-training and sagemaker-inference."""

from pkgutil import extend_path

# The real package's modules, where one is installed, go before these.
__path__ = extend_path(__path__, __name__)[::-1]
