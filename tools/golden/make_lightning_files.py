"""Write the files in lightning_files/: checkpoints of Lightning, accelerate and OmegaConf.

Written with Lightning 2.6.6, accelerate 1.15.0, OmegaConf 2.4.0 and torch 2.13; run by hand.

Usage: python -m tools.golden.make_lightning_files
"""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from accelerate import Accelerator
from lightning.pytorch.callbacks import EarlyStopping
from omegaconf import OmegaConf

from . import GOLDEN

HERE = GOLDEN / "lightning_files"
STEPS, INPUTS, UNITS = 20, 2, 3


class Tagger(lightning.LightningModule):
    def __init__(self, config: Any) -> None:
        super().__init__()
        self.save_hyperparameters(config)
        self.rnn = torch.nn.GRU(config.inputs, config.units, num_layers=2)
        self.out = torch.nn.Linear(config.units, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.rnn(x)[0]

    def training_step(self, batch: list[torch.Tensor], _: int) -> torch.Tensor:
        loss = self.out(self(batch[0])).square().mean()
        self.log("loss", loss)
        return loss

    def configure_optimizers(self) -> dict[str, Any]:
        optimizer = torch.optim.AdamW(self.parameters(), lr=0.01)
        schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1)
        return {"optimizer": optimizer, "lr_scheduler": schedule}


def loader(x: torch.Tensor) -> Any:
    data = torch.utils.data.TensorDataset(x[None])
    return torch.utils.data.DataLoader(data, batch_size=None)


def main() -> None:
    lightning.seed_everything(5)
    HERE.mkdir(exist_ok=True)
    config = OmegaConf.create({"inputs": INPUTS, "units": UNITS, "list": [1, {"a": None}]})
    x = torch.randn(STEPS, INPUTS)
    found = {"inputs": x.numpy()}

    model = Tagger(config)
    trainer = lightning.Trainer(
        max_epochs=2, accelerator="cpu", logger=False, enable_checkpointing=False,
        callbacks=[EarlyStopping("loss")], enable_progress_bar=False,
    )  # fmt: skip
    trainer.fit(model, loader(x))
    trainer.save_checkpoint(HERE / "lightning.ckpt")
    found["lightning"] = model(x).detach().numpy()

    accelerator = Accelerator(cpu=True)
    model = Tagger(config)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    model, optimizer = accelerator.prepare(model, optimizer)
    accelerator.backward(model(x).square().mean())
    optimizer.step()
    found["accelerate"] = model(x).detach().numpy()
    for safe, name in ((True, "model.safetensors"), (False, "pytorch_model.bin")):
        with tempfile.TemporaryDirectory() as folder:
            accelerator.save_state(folder, safe_serialization=safe)
            shutil.copy(Path(folder) / name, HERE / f"accelerate_{name}")
            shutil.copy(Path(folder) / "optimizer.bin", HERE / "accelerate_optimizer.bin")

    model = Tagger(config)
    found["omegaconf"] = model(x).detach().numpy()
    checkpoint = {"cfg": config, "model": model.state_dict(), "step": 3}
    torch.save(checkpoint, HERE / "omegaconf.pt")
    np.savez(HERE / "expected.npz", **found)


if __name__ == "__main__":
    main()
