"""docs/statement.md: its code runs, and its tables are those of its numbers."""

import re
import subprocess
import sys
from pathlib import Path

import thalweg

ROOT = Path(__file__).parents[2]


def test_the_pages_code_runs(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    block = re.search(r"```python\n(.*?)```", (ROOT / "docs/statement.md").read_text(), re.DOTALL)
    space = {}
    exec(block[1], space)
    assert isinstance(space["statement"], thalweg.Statement) and len(space["table"]) == 10
    assert "what one more training" in capsys.readouterr().out


def test_the_pages_tables_are_those_of_its_numbers():
    done = subprocess.run(
        [sys.executable, ROOT / "docs/statement.py", "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
