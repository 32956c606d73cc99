"""The network that ships with lyapy, and the text that it reads."""

from importlib.resources import as_file, files
from typing import NamedTuple

from ..arrays import Array
from ..networks.network import Network
from ..weights.load import load
from .inputs import read_inputs

PASSAGES = 8


class Example(NamedTuple):
    """A network with inputs.

    Attributes
    ----------
    network : Network
    inputs : array (B, T, m)
    text : tuple of B str
        The network reads the character ``text[b][t]`` at step t of trajectory b.
    """

    network: Network
    inputs: Array
    text: tuple[str, ...]


def load_example() -> Example:
    """Return the character-level LSTM that ships with lyapy, and 8 passages of *War and Peace*.

    Its 64 units have 128 exponents. Each character is an input vector of the network's embedding.

    Returns
    -------
    Example
        ``network, inputs, text``.

    Examples
    --------
    >>> import lyapy
    >>> network, inputs, text = lyapy.load_example()
    >>> inputs.shape, text[0][:19]
    ((8, 3981, 32), 'rostov and ilyin we')
    """
    data = files("lyapy") / "data"
    with (
        as_file(data / "character_lstm.safetensors") as weights,
        as_file(data / "excerpt.txt") as file,
    ):
        network = load(weights)
        inputs = read_inputs(file, network)
        text = file.read_text(encoding="utf-8")
    network.origin = "character_lstm.safetensors, shipped with lyapy"
    length = len(inputs) // PASSAGES
    passages = inputs[: PASSAGES * length].reshape(PASSAGES, length, network.input_size)
    starts = range(0, PASSAGES * length, length)
    return Example(network, passages, tuple(text[start : start + length] for start in starts))
