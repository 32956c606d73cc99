"""
From a trained GRU to its spectrum
==================================

A network was trained in PyTorch to remember the sign of the last pulse it has seen. How long can
it remember, and in how many directions? This page goes from the weights file to the answer.

The training is a usual one (``examples/train_flip_flop.py``): a ``torch.nn.GRU`` of 16 units with
a linear read-out. All that lyapy needs of it is one line::

    torch.save(model.state_dict(), "model.pt")

``.safetensors``, Keras's ``.keras`` and the files of other frameworks are read as well; torch is
not needed from here on.
"""

# %%
# Load the weights
# ----------------
# The recurrent layers are recognised by their names. The read-out is left out.

from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt

import lyapy

folder = next(
    path / "examples/flip_flop"
    for path in (Path.cwd(), *Path.cwd().parents)
    if (path / "examples/flip_flop").is_dir()
)
network = lyapy.load(folder / "update500.safetensors")
network

# %%
# Drive it
# --------
# The spectrum belongs to a network *and* its inputs. Give it the inputs of its task, here pulses of
# ±1 at random times: eight sequences of 2000 steps, as an array (trajectories, steps, inputs).

rng = np.random.default_rng(0)
pulses = rng.choice([-1.0, 0.0, 1.0], p=[0.05, 0.9, 0.05], size=(8, 2000, 1))
spectrum = lyapy.lyapunov_spectrum(network, pulses, transient=200)
spectrum

# %%
# A notebook shows the table and the picture above; ``print(spectrum)`` has the table elsewhere.
# Each exponent is the rate, in nats per step, at which a small perturbation in its direction
# grows or dies out, with a standard error from the eight trajectories.
#
# Read it
# -------
# All exponents are negative: two copies of the network that read the same pulses come together,
# and the slowest difference dies out with the time constant −1/λ₁.

largest, error = spectrum.largest, spectrum.standard_error[0]
print(f"λ₁ = {largest:.4f} ± {error:.4f} nats per step: {-1 / largest:.0f} steps")
print(f"λ₂ = {spectrum.exponents[1]:.4f}")
print("status:", spectrum.status.code)

# %%
# Two steps, for a network that remembers a pulse for as long as no other comes? The memory is not
# a slow direction. Where it is, the fixed points show.

spectrum.plot("convergence", indices=(1, 2, 3))

# %%
# Between two pulses
# ------------------
# While no pulse comes the network is a map with the constant input 0. Two of its fixed points are
# stable, the two signs, with a saddle between them. The sign is remembered by *which* of them the
# state is at; near each, perturbations die out quickly. The spectrum shows this.

points = lyapy.fixed_points(network, [0.0], starts=rng.uniform(-1, 1, size=(60, 16)), rng=1)
for state, eigenvalues in zip(points.states, points.eigenvalues, strict=True):
    # a GRU's state stays between −1 and 1
    if np.abs(state).max() <= 1:
        size = np.abs(eigenvalues).max()
        kind = "stable" if size < 1 else "saddle"
        print(f"{kind}   h₁ = {state[0]:6.3f}   largest |eigenvalue| {size:.3f}")

# %%
# Before the training
# -------------------
# With its initial weights the network forgets, too, but slower than the trained one.

before = lyapy.lyapunov_spectrum(
    lyapy.load(folder / "update000.safetensors"), pulses, transient=200
)
ax = before.plot(label="before")
spectrum.plot(ax=ax, label="trained")
ax.legend()
plt.show()

# %%
# Keep the result
# ---------------
# The run file is plain HDF5 with units and named axes; ``to_dataframe`` and ``to_xarray`` go to
# pandas and xarray.
#
# .. code-block:: python
#
#    spectrum.save("run.h5")
#    spectrum.to_dataframe()
