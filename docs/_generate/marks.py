"""``marks.md``: the labels and annotations that say of an Event what the API has no fields for."""

import ast
import inspect

from docs._generate.markdown import code, page, sentence, table
from pipetrail import marks
from pipetrail.emitting import checks

SOURCE = "src/pipetrail/marks.py"

_INTRO = f"""Labels and annotations of Events that `pipetrail.emit`, `pipetrail emit` and `PipelineEvent` set, and that
the recorder keeps. They stand in `marks` of the [JSON output](output.md), labels and annotations together. Whoever
makes Events by other means may set them too.

Values of run and step have at most {checks.RUN} bytes. A value that can be no label (over {checks.LABEL} bytes, or with
other characters than letters, digits, `-`, `_` and `.`) is an annotation only."""

_MORE = """Other annotations of an Event are kept only where [their names are let through](annotations.md); labels are
all kept. What an equal id does: [Declared events](../explanation/declared-events.md)."""


def write() -> str:
    """The page."""
    return page("Marks", SOURCE, _INTRO, table(("Name", "Says"), described()), _MORE)


def described() -> list[tuple[str, str]]:
    """Each mark and the text below it in the source; names that stand together have one text."""
    rows, waiting = [], []
    for node in ast.parse(inspect.getsource(marks)).body[1:]:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            waiting.append(node.targets[0].id)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            text = sentence(str(node.value.value))
            rows += [(code(getattr(marks, name)), text) for name in waiting if name != "PREFIX"]
            waiting = []
    if waiting:
        raise LookupError(f"docs/_generate/marks.py: nothing is said of {', '.join(waiting)}")
    return rows
