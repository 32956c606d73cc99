"""
A reservoir that learned Lorenz's equations
===========================================

A reservoir is trained to predict a time series. Has it only learned to predict the next value, or
the flow behind it? Its read-out fed back as the input makes it an autonomous system, and the
exponents of that are compared with those of the flow: 0.9056, 0 and −14.5723 per unit of time
(Pathak et al. 2017).
"""

# %%
# A time series
# -------------

import numpy as np
from matplotlib import pyplot as plt

import lyapy
from lyapy.cells import Reservoir

DT = 0.02


def flow(h):
    """Lorenz's equations."""
    x, y, z = h
    return np.array([10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z])


def series_of(steps, substeps=5):
    """Return a series (steps, 3) on the attractor, by Runge and Kutta's method."""
    h, dt, found = np.array([1.0, 1.0, 20.0]), DT / substeps, np.empty((steps + 500, 3))
    for t in range(len(found)):
        for _ in range(substeps):
            a = flow(h)
            b = flow(h + dt / 2 * a)
            c = flow(h + dt / 2 * b)
            h = h + dt / 6 * (a + 2 * b + 2 * c + flow(h + dt * c))
        found[t] = h
    return found[500:]


series = series_of(6000)
series = (series - series.mean(axis=0)) / series.std(axis=0)

# %%
# A reservoir and its read-out
# ----------------------------
# Any matrices will do: of reservoirpy or another package, sparse or dense. The read-out is fitted
# to the next value by ridge regression.

rng = np.random.default_rng(0)
n = 300
U = rng.normal(size=(n, n)) * 0.3 / np.sqrt(n)
W, b = 0.4 * rng.normal(size=(n, 3)), 0.5 * rng.normal(size=n)

states = np.zeros((len(series), n))
for t, x in enumerate(series[:-1]):
    states[t + 1] = np.tanh(W @ x + U @ states[t] + b)
features = np.hstack([states[100:], np.ones((len(states) - 100, 1))])
gram = features.T @ features + 1e-9 * len(features) * np.eye(n + 1)
fitted = np.linalg.solve(gram, features.T @ series[100:]).T

# %%
# The closed loop
# ---------------
# ``ClosedLoop`` feeds the read-out back. ``warm_up`` drives the network by the end of the series,
# and gives the state from which it goes on alone.

loop = lyapy.ClosedLoop(lyapy.Network([Reservoir(W, U, b)]), fitted[:, :-1], fitted[:, -1])
spectrum = lyapy.lyapunov_spectrum(
    loop, steps=20_000, transient=1000, k=5, dt=DT, initial_state=loop.warm_up(series[-500:])
)
spectrum

# %%
# Compare
# -------
# The flow has three exponents, the closed loop 300. If it learned the flow, the leading ones are
# those of the flow, and the others, which bring the state to the attractor, come below λ₂. λ₃ =
# −14.57 is where the reservoir may forget faster or slower than the flow contracts.

for i, known in enumerate((0.9056, 0.0)):
    value, error = spectrum.exponents[i], spectrum.standard_error[i]
    print(f"λ{i + 1} = {value:8.4f} ± {error:.4f}   flow {known:8.4f}")
dimension = spectrum.measures()["kaplan_yorke_dimension"]
print(f"Kaplan-Yorke dimension {dimension.value:.3f} ({dimension.status})   flow 2.062")

ax = spectrum.plot(label="closed loop")
ax.plot([1, 2, 3], [0.9056, 0.0, -14.5723], "kx", label="flow")
ax.legend()
plt.show()
