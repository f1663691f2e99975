"""Optional: lightning's training loop beside the plain one and thalweg's.

For an environment of its own, no dependency.

python -m venv peers && peers/bin/pip install -c constraints.txt torch lightning && peers/bin/pip
install -e . OMP_NUM_THREADS=1 peers/bin/python -m research.bench.peers
"""

import logging
import warnings

import lightning
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from research.bench import floor
from research.bench.cases import CASES
from research.bench.measure import Settings, interleaved, ratios, store
from research.bench.page import lines


class Module(lightning.LightningModule):
    def __init__(self, case) -> None:
        super().__init__()
        self.network, self.case = case.make(), case

    def training_step(self, batch, index):
        x, y = batch
        return nn.functional.cross_entropy(self.network(x), y)

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(
            self.network.parameters(), floor.LR, floor.MOMENTUM, weight_decay=floor.DECAY
        )
        steps = int(self.case.epochs * -(-self.case.examples // self.case.batch))
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]


def main() -> None:
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    rows, settings = [], Settings(repeats=5)
    for name in ("digits", "mnist-cnn"):
        case = CASES[name]
        images, labels = case.images(case.examples)
        loader = DataLoader(TensorDataset(case.prepare(images), labels), case.batch, shuffle=True)
        problem = case.problem()

        def with_lightning(case=case, loader=loader) -> None:
            quiet = {
                "logger": False,
                "enable_checkpointing": False,
                "enable_progress_bar": False,
                "enable_model_summary": False,
            }
            trainer = lightning.Trainer(
                max_epochs=int(case.epochs), accelerator="cpu", devices=1, **quiet
            )
            trainer.fit(Module(case), loader)

        alternatives = {
            "plain": case.plain(),
            "thalweg": lambda p=problem: p.fit(p.build("bench"), p.recipe, "bench"),
            f"lightning {lightning.__version__}": with_lightning,
        }
        rows += ratios(name, interleaved(alternatives, settings), "plain", {})
    print("\n".join(lines(rows)))
    store("peers", rows, settings)


if __name__ == "__main__":
    main()
