"""Fine-tuning: `python -m research.finetune pretrain` makes the pre-trained weights that the plans
studies/finetune-*.toml name (minutes each), and `python -m research.finetune page` writes
docs/finetuning.md from their committed results.

The studies are run by `thalweg study studies/finetune-cnn.toml --trust-plan`, and so on.
"""

import argparse
import sys
from pathlib import Path

import torch

from research.finetune import page
from research.finetune.pretraining import PRE_TRAININGS, pretrain
from research.skeleton import put
from thalweg.errors import InputError


def main(arguments: list[str] | None = None) -> int:
    """The command line: mistakes of the user's are one line and exit code 2."""
    options = argparse.ArgumentParser("python -m research.finetune", description="Fine-tuning.")
    options.add_argument("command", choices=("pretrain", "page"))
    options.add_argument("names", nargs="*", help=f"pre-trainings: {', '.join(PRE_TRAININGS)}")
    options.add_argument("--data-dir", type=Path, default=None)
    options.add_argument(
        "--check", action="store_true", help="with page: only say whether it is up to date"
    )
    given = options.parse_args(arguments)
    torch.set_num_threads(1)
    try:
        if given.command == "page":
            return put({page.PAGE: page.text()}, check=given.check)
        for name in given.names or PRE_TRAININGS:
            print(pretrain(name, given.data_dir), flush=True)
    except InputError as error:
        print(f"finetune: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
