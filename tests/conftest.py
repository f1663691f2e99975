"""Settings of all tests."""

import importlib
import signal
import sys
from types import ModuleType

import pytest
import torch

from thalweg import cli

if (
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN
):  # in a shell's background: children inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser):
    parser.addoption(
        "--subject", default="thalweg_subject", help="Module that the conformance suite asks"
    )


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def pytest_collection_modifyitems(items):
    for item in items:
        for folder in ("conformance", "kinds"):
            if folder in item.path.parts:
                item.add_marker(folder)


class Subject:
    """The functions of a module; a test that asks for one that is not there is skipped."""

    def __init__(self, module: ModuleType) -> None:
        self.module = module

    def __getattr__(self, name: str):
        found = getattr(self.module, name, None)
        if found is None:
            pytest.skip(f"{self.module.__name__} offers no {name}")
        return found


@pytest.fixture(scope="session")
def subject(request) -> Subject:
    """What the conformance suite asks."""
    return Subject(importlib.import_module(request.config.getoption("--subject")))


@pytest.fixture
def thalweg(monkeypatch, capsys, tmp_path):
    """Runs the command line and gives exit code, output and errors."""
    monkeypatch.chdir(tmp_path)

    def command(*arguments) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["thalweg", *map(str, arguments)])
        code = 0
        try:
            cli.main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return command
