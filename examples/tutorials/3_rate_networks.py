"""
Chaos of rate networks
======================

Random rate networks become chaotic when their coupling is strong (Sompolinsky, Crisanti and
Sommers 1988). How chaotic: how many dimensions does the attractor fill, how much entropy does it
produce, and how do both grow with the network (Engelken, Wolf and Abbott 2023)?
"""

# %%
# One network
# -----------
# ``random_network`` draws the weights, here with gain g = 4. The cell's ``dt`` is taken over, so
# that exponents come per unit of time, that of the neurons' time constant. A network without
# inputs is given a number of steps; ``k="kaplan-yorke"`` computes as many exponents as the
# dimension needs.

import numpy as np
from matplotlib import pyplot as plt

import lyapy

network = lyapy.random_network("rate", 200, gain=4.0, dt=0.1, seed=1)
spectrum = lyapy.lyapunov_spectrum(
    network,
    steps=3000,
    transient=500,
    k="kaplan-yorke",
)
spectrum

# %%
# Errors and status say whether the run was long enough. ``until=0.01`` instead of ``steps`` goes
# on until the errors are that small.
#
# Measures with their errors:

for name, measure in spectrum.measures().items():
    print(f"{name:24s}{measure.value:9.4f} ± {measure.standard_error:.4f}", measure.status)

# %%
# Growing networks
# ----------------
# Networks with other weights differ, most where they are small, so sizes up to 400 have several.
# The dimension of the network above is below N/8, so that many exponents are enough, and cheaper
# than the search for their number. A loop will do for ten networks; for hundreds
# :func:`lyapy.sweep` takes a dict of them, computes them side by side and keeps a file.

sizes = {100: 4, 200: 4, 400: 2, 1000: 1}
dimension, entropy = {}, {}
ax = plt.figure(figsize=(5, 3.5), layout="constrained").subplots()
for (N, count), color in zip(sizes.items(), ("C0", "C1", "C2", "C3"), strict=True):
    found = [
        lyapy.lyapunov_spectrum(
            lyapy.random_network("rate", N, gain=4.0, seed=seed),
            steps=1500,
            transient=500,
            k=N // 8,
        )
        for seed in range(1, count + 1)
    ]
    dimension[N] = [each.kaplan_yorke_dimension / N for each in found]
    entropy[N] = [each.entropy_rate / N for each in found]
    found[0].plot(ax=ax, relative=True, color=color, label=f"N = {N}")
ax.set_xlim(0, 0.15)
ax.legend()
plt.show()

# %%
# Over i/N the spectra settle on one curve as networks grow: chaos is *extensive*.
# Dimension and entropy per neuron (in nats per unit of time) settle, while single networks
# scatter less and less.

figure, axes = plt.subplots(1, 2, figsize=(7, 3), layout="constrained")
for ax, values, label in (
    (axes[0], dimension, "$D_{KY}$ / N"),
    (axes[1], entropy, "entropy rate / N"),
):
    for N, found in values.items():
        ax.plot([N] * len(found), found, "o", color="C0", alpha=0.5)
        ax.plot(N, np.mean(found), "_", color="k", markersize=18)
    ax.set(xlabel="N", ylabel=label, ylim=(0, None))
plt.show()
