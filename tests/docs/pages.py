"""Where the documents are."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_NOT_OURS = {".venv", ".git", "node_modules", "build", "dist"}


def documents() -> list[Path]:
    """Every Markdown file of the repository. Hidden folders are tools' own."""
    return sorted(
        path
        for path in ROOT.rglob("*.md")
        if not any(part in _NOT_OURS or part.startswith(".") for part in path.relative_to(ROOT).parts)
    )


def names(paths: list[Path]) -> list[str]:
    """How tests call them."""
    return [str(path.relative_to(ROOT)) for path in paths]
