"""
What makes a network forget
===========================

The network that ships with lyapy reads text. With a row of the history for every step, each
character can be coloured by how much it contracts the leading directions: the darker, the more is
forgotten.
"""

import numpy as np
from matplotlib import pyplot as plt

import lyapy

network, inputs, text = lyapy.load_example()
start, steps = 200, 320
spectrum = lyapy.lyapunov_spectrum(
    network, inputs[0], transient=start, steps=steps, k=16, record_every=1
)
growth = spectrum.finite_time_exponents(1)[0].sum(axis=1)

ax = plt.figure(figsize=(8, 3)).subplots()
shade = np.clip(-growth / np.quantile(-growth, 0.98), 0, 1)
for i, character in enumerate(text[0][start : start + steps]):
    row, column = divmod(i, 64)
    ax.add_patch(plt.Rectangle((column, -row), 1, 1, color=plt.cm.Blues(0.8 * shade[i])))
    ax.text(column + 0.5, -row + 0.5, character, ha="center", va="center", family="monospace")
ax.set(xlim=(0, 64), ylim=(-steps // 64 + 1, 1))
ax.axis("off")
plt.show()
