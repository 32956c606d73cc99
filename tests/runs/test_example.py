"""The network that ships with lyapy reads its text."""

import numpy as np

import lyapy


def test_each_input_is_the_embedding_of_its_character():
    network, inputs, text = lyapy.load_example()
    B, T, m = inputs.shape
    assert (B, m, network.state_size) == (8, network.input_size, 128)
    assert [len(passage) for passage in text] == [T] * B
    # the same characters have the same inputs, and different ones different inputs
    characters, rows = np.array([list(passage) for passage in text]), {}
    for character in np.unique(characters):
        found = np.unique(inputs[characters == character], axis=0)
        assert len(found) == 1
        rows[character] = found[0].tobytes()
    assert len({*rows.values()}) == len(rows) > 20
