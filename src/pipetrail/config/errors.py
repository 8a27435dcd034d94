"""What is wrong with a configuration."""


class ConfigError(Exception):
    """The configuration can't be used; one line for each mistake."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__("\n".join(errors))
        self.errors = errors
