"""The lowest versions that pyproject.toml claims, one per line, for `make test-lowest`."""

import re
import tomllib
from pathlib import Path

TOOLS = ("pytest", "pytest-xdist", "hypothesis")


def lowest() -> list[str]:
    """Every dependency, and what tests need, at its lowest version."""
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    tools = [line for line in extras["dev"] if re.split("[>=]", line)[0] in TOOLS]
    return [
        line.replace(">=", "==") for line in (*project["dependencies"], *extras["report"], *tools)
    ]


if __name__ == "__main__":
    print("\n".join(lowest()))
