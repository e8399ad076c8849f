"""What inference scripts import of aws/sagemaker-xgboost-container."""

from pkgutil import extend_path

# The real package's modules, where one is installed, go before these.
__path__ = extend_path(__path__, __name__)[::-1]
