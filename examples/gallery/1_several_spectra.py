"""
Spectra of several networks in one picture
==========================================

``plot(ax=...)`` overlays spectra, each with a colour and an entry in the legend;
``relative=True`` places exponent i of D at (i − 1/2)/D, for networks of different size.
"""

from matplotlib import pyplot as plt

import lyapy

ax = plt.figure().subplots()
for gain in (1.0, 2.0, 4.0):
    network = lyapy.random_network("vanilla", 50, gain=gain, seed=1)
    spectrum = lyapy.lyapunov_spectrum(network, steps=1000, transient=200)
    spectrum.plot(ax=ax, label=f"gain {gain:g}")
ax.legend()
plt.show()
