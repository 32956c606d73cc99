"""Train the character LSTM of ``lyapy/data``; torch is needed for this, not to use its files.

Run from the repository root, with the plain text of *War and Peace* at hand::

    python examples/train_character_lstm.py war_and_peace.txt --steps 40000

The network is an embedding, one ``torch.nn.LSTM`` layer and a linear read-out, trained to
predict the next character, in about nine minutes of one core. Two files are written:
``character_lstm.safetensors`` (float32 tensors under torch's names, vocabulary and losses in
the metadata) and ``excerpt.txt``, a stretch of text that the network has not been trained on.
"""

import argparse
import math
import re
import time
import unicodedata
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

CHARACTERS = "\n !\"'(),-.0123456789:;?abcdefghijklmnopqrstuvwxyz"
SOURCE = (
    "War and Peace by Leo Tolstoy, translated by Louise and Aylmer Maude; "
    "the text is in the public domain"
)
EMBEDDING, HIDDEN = 32, 64
HELD_OUT = (0.60, 0.63)
EXCERPT_CHARACTERS = 32_000


class CharacterLSTM(nn.Module):
    """Embedding, one LSTM layer and a linear read-out."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(CHARACTERS), EMBEDDING)
        self.lstm = nn.LSTM(EMBEDDING, HIDDEN)
        self.readout = nn.Linear(HIDDEN, len(CHARACTERS))

    def forward(
        self, indices: Tensor, state: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return the logits of the next characters and the state after the last one."""
        hidden, state = self.lstm(self.embedding(indices), state)
        return self.readout(hidden), state


def fold(text: str) -> str:
    """Lower the case, drop accents and rare signs, and undo the wrapping of lines."""
    text = unicodedata.normalize("NFKD", text).lower()
    text = "".join(character for character in text if character in CHARACTERS)
    # A wrapped line ends where the page did and not where the author did, so only the blank
    # lines between paragraphs stay, as one line break each.
    paragraphs = (" ".join(part.split()) for part in re.split(r"\n\s*\n", text))
    return "\n".join(part for part in paragraphs if part)


def split_streams(indices: Tensor, streams: int) -> Tensor:
    """Cut a text into equally long consecutive streams, as columns."""
    length = len(indices) // streams
    return indices[: length * streams].reshape(streams, length).T.contiguous()


@torch.no_grad()
def bits_per_character(model: nn.Module, indices: Tensor, streams: int) -> float:
    """Mean loss over a text that is read in parallel streams from the zero state."""
    columns = split_streams(indices, streams)
    logits, _ = model(columns[:-1], None)
    loss = nn.functional.cross_entropy(logits.flatten(0, 1), columns[1:].flatten())
    return loss.item() / math.log(2)


def train(model: nn.Module, text: Tensor, validation: Tensor, options: argparse.Namespace) -> None:
    """Fit the model by truncated back-propagation, with a cosine decay of the rate."""
    columns = split_streams(text, options.streams)
    optimizer = torch.optim.Adam(model.parameters(), lr=options.rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, options.steps)
    start, position, state, recent = time.perf_counter(), 0, None, 0.0
    for step in range(1, options.steps + 1):
        if position + options.window >= len(columns):
            position, state = 0, None
        window = columns[position : position + options.window + 1]
        logits, state = model(window[:-1], state)
        # The state is carried on, so that the network sees orbits far longer than a window.
        state = (state[0].detach(), state[1].detach())
        position += options.window
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), window[1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        recent += (loss.item() / math.log(2) - recent) / min(step, 100)
        if step % 1000 == 0 or step == options.steps:
            held_out = bits_per_character(model, validation, 16)
            report = f"step {step:6d}  {time.perf_counter() - start:5.0f} s  bits per character:"
            print(f"{report} train {recent:.3f}  validation {held_out:.3f}", flush=True)


def main() -> None:
    """Read the text, train and write the two files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text", type=Path, help="plain text of War and Peace, UTF-8")
    parser.add_argument("--steps", type=int, default=40_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--streams", type=int, default=32, help="texts read in parallel")
    parser.add_argument("--window", type=int, default=100, help="steps of back-propagation")
    parser.add_argument("--rate", type=float, default=6e-3, help="first learning rate")
    default_output = Path(__file__).resolve().parents[1] / "lyapy" / "data"
    parser.add_argument("--output", type=Path, default=default_output, metavar="FOLDER")
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)

    text = fold(options.text.read_text(encoding="utf-8"))
    first, last = (text.index("\n", int(part * len(text))) + 1 for part in HELD_OUT)
    excerpt = text[first : text.rindex("\n", first, first + EXCERPT_CHARACTERS) + 1]
    code = {character: index for index, character in enumerate(CHARACTERS)}
    indices = torch.tensor([code[character] for character in text])
    validation = indices[first:last]
    model = CharacterLSTM()
    print(f"validation before training: {bits_per_character(model, validation, 16):.3f}")
    train(model, torch.cat([indices[:first], indices[last:]]), validation, options)

    # Only numbers and the file's name: the metadata must not depend on where this ran.
    flags = ("steps", "seed", "streams", "window", "rate")
    arguments = " ".join(f"--{flag} {getattr(options, flag)}" for flag in flags)
    losses = {
        "train_bits_per_character": bits_per_character(model, indices[: len(validation)], 16),
        "validation_bits_per_character": bits_per_character(model, validation, 16),
        "excerpt_bits_per_character": bits_per_character(model, validation[: len(excerpt)], 1),
    }
    metadata = {
        "vocabulary": CHARACTERS,
        "source": SOURCE,
        "command": f"python examples/{Path(__file__).name} {options.text.name} {arguments}",
    } | {name: f"{loss:.6f}" for name, loss in losses.items()}
    options.output.mkdir(parents=True, exist_ok=True)
    save_file(model.state_dict(), options.output / "character_lstm.safetensors", metadata)
    (options.output / "excerpt.txt").write_text(excerpt, encoding="utf-8", newline="\n")
    print(metadata)


if __name__ == "__main__":
    main()
