"""Every way that data comes into a training job: channels, and what the container finds of them under /opt/ml/input."""
