"""A flow of Metaflow; its second step fails if told so."""

# mypy: ignore-errors
# Metaflow is only in the environment that runs this.
from metaflow import FlowSpec, Parameter, step
from metaflow_step import on_record


class Train(FlowSpec):
    """Loads, then fits."""

    fails = Parameter("fails", default=False)

    @on_record
    @step
    def start(self):
        """Completes."""
        self.next(self.fit)

    @on_record
    @step
    def fit(self):
        """Fails, with a text that must not get out."""
        if self.fails:
            raise ConnectionError("password=hunter2")
        self.next(self.end)

    @step
    def end(self):
        """Is not on record."""


if __name__ == "__main__":
    Train()
