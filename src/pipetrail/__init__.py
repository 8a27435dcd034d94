"""pipetrail: the flight recorder for ML pipelines on Kubernetes."""

__version__ = "0.1.0"
