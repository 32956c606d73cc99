"""
Checkpoints against the loss
============================

What happens in the spectrum while the loss falls? A training left fifty checkpoints and a table
of losses (``examples/flip_flop``, written by ``examples/train_flip_flop.py``). One call computes
all spectra into one file.
"""

# %%
# Sweep
# -----
# Fields of ``pattern`` become columns, and the table is joined by them.

import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt

import lyapy

folder = next(
    path / "examples/flip_flop"
    for path in (Path.cwd(), *Path.cwd().parents)
    if (path / "examples/flip_flop").is_dir()
)
rng = np.random.default_rng(0)
pulses = rng.choice([-1.0, 0.0, 1.0], p=[0.05, 0.9, 0.05], size=(4, 1500, 1))

results = Path(tempfile.mkdtemp())
sweep = lyapy.sweep(
    str(folder / "*.safetensors"),
    pulses,
    pattern="update{update}",
    metadata=folder / "losses.csv",
    transient=200,
    checkpoint=results / "sweep.h5",
    executor=ThreadPoolExecutor(2),
)
sweep

# %%
# A script leaves out ``executor=``: processes are faster, and need ``if __name__ ==
# "__main__":``. The same call again reads finished runs; on a cluster, it is ``lyapy sweep``
# in a batch script.
#
# The largest exponent and the loss
# ---------------------------------

ax = sweep.plot("measure", "update", "largest", metric="loss")
ax.set_xscale("symlog", linthresh=10)
plt.show()

# %%
# The loss falls where λ₁ comes nearest to zero, at about 40 updates: there the network is about
# to split its single fixed point into two, one for each sign (:doc:`1_trained_gru`), and near a
# bifurcation perturbations live long. Training then makes the two states robust, and λ₁ falls
# again. So neither "largest" nor "smallest" is best; against each other:

sweep.plot("metric", "loss", color_by="update")

# %%
# All exponents, coloured by the update:

sweep.plot(over="update")

# %%
# Rows
# ----
# Each network is a row, by its name or by its place.

row = sweep["update500"]
print(row.metadata, row.exponents[:3])
sweep.to_dataframe()[["loss", "largest", "mean", "status"]].tail()
