"""Where events go: the delivery that all receivers share, and one module for each kind of receiver."""


def state_path(journal: str) -> str:
    """The file in which delivery keeps how far each sink of a journal is."""
    return journal + ".sinks"
