"""Origins into batches: Kubernetes Events, object states, recordings."""
