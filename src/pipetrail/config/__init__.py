"""The configuration file: YAML into checked values, and every mistake at once, each with its place."""

from pipetrail.config.errors import ConfigError
from pipetrail.config.loading import has_sinks, load, sink_types
from pipetrail.config.types import ClusterConfig, Config, RetentionConfig
from pipetrail.config.values import default_journal, parse_address, parse_retention_age, parse_size

__all__ = [
    "ClusterConfig",
    "Config",
    "ConfigError",
    "RetentionConfig",
    "default_journal",
    "has_sinks",
    "load",
    "parse_address",
    "parse_retention_age",
    "parse_size",
    "sink_types",
]
