"""The only place that builds and connects parts: recording, playing, capturing."""
