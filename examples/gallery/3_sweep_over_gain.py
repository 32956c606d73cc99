"""
Dimension against gain
======================

A sweep over random networks of two sizes. ``by`` draws a line for each value of a column,
``per_dimension`` divides a measure by D; lines are means over the networks that agree.
"""

import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import lyapy

networks, columns = {}, {}
for N in (40, 80):
    for gain in (1.5, 2.0, 2.5, 3.0, 4.0):
        for seed in (1, 2):
            name = f"N{N}_g{gain}_seed{seed}"
            networks[name] = lyapy.random_network("vanilla", N, gain=gain, seed=seed)
            columns[name] = {"N": N, "gain": gain, "seed": seed}

sweep = lyapy.sweep(
    networks,
    metadata=columns,
    steps=1000,
    transient=200,
    checkpoint=Path(tempfile.mkdtemp()) / "sweep.h5",
    executor=ThreadPoolExecutor(2),
)
sweep.plot("measure", "gain", "kaplan_yorke_dimension", per_dimension=True, by="N")

# %%
# The same sweep as a map of λ₁ over two columns, and as spectra coloured by one.

sweep.plot("map", "gain", "N")

# %%

sweep.plot(over="gain")
