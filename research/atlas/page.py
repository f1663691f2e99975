"""The page of the atlas: docs/atlas.md, whose tables are filled from results."""

from pathlib import Path


def pages(results: Path) -> dict[Path, str]:
    """What the pages should be."""
    return {}
