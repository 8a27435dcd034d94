"""The Kubernetes API and nothing else: login, HTTP, list-watch, discovery, and the shapes that are read."""
