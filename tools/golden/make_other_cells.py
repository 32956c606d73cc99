"""Write ``other_cells.npz``: the published equations of further cells, by torch's autodiff.

Run ``python -m tools.golden.make_other_cells`` where torch is installed; the tests themselves
only read the file. Nothing here comes from lyapy: each step is the authors' equation, in their
letters and their orientation of vectors, and each Jacobian is autodiff's. For every case the
file holds the weights, ``CASE/NAME``, by the names in the equation, and the arrays of
``make_torch_cells``; where a layer's output is not the first block of its state, also
``CASE/outputs``, shape (T, p).
"""

import numpy as np
import torch

from . import GOLDEN

STEPS, N, M, HIDDEN, OUT = 5, 5, 3, 7, 4
DT, GAMMA, EPSILON, BETA, ALPHA, LEAK, DECAY = 0.2, 0.7, 0.4, 0.8, 0.9, 0.3, 0.9
THRESHOLD, SHARPNESS, FORGET_LIMIT, ZETA, NU = 1.0, 5.0, 0.5, 0.7, 0.2


def rate(w, h, x):
    """Engelken et al.: h + Δt (−h + J φ(h) + input)."""
    return h + DT * (-h + w["U"] @ torch.tanh(h) + w["W"] @ x + w["b"])


def rate_rk4(w, h, x):
    """Return the classical Runge–Kutta step of the same equation, from its slopes."""

    def slope(h):
        return -h + w["U"] @ torch.tanh(h) + w["W"] @ x + w["b"]

    k1 = slope(h)
    k2 = slope(h + DT / 2 * k1)
    k3 = slope(h + DT / 2 * k2)
    k4 = slope(h + DT * k3)
    return h + DT / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


def reservoir(w, h, x):
    """Jaeger et al. 2007."""
    return (1 - LEAK) * h + LEAK * torch.tanh(w["W"] @ x + w["U"] @ h + w["b"])


def antisymmetric(w, h, x):
    """Chang et al. 2019, equation 9."""
    U = w["U"]
    return h + EPSILON * torch.tanh((U - U.T - GAMMA * torch.eye(N)) @ h + w["W"] @ x + w["b"])


def lipschitz(w, h, x):
    """Erichson et al. 2021; rows, as in the authors' code."""

    def split(B):
        return BETA * (B - B.T) + (1 - BETA) * (B + B.T) - GAMMA * torch.eye(N)

    z = w["W"] @ x + w["b"]
    return h + EPSILON * ALPHA * (h @ split(w["B"])) + EPSILON * torch.tanh(h @ split(w["C"]) + z)


def cornn(w, state, x):
    """Rusch and Mishra 2021, as in the authors' code; the state is (y, z)."""
    hy, hz = state[:N], state[N:]
    pre = w["W"] @ x + w["U_z"] @ hz + w["U_y"] @ hy + w["b"]
    hz = hz + DT * (torch.tanh(pre) - GAMMA * hy - EPSILON * hz)
    hy = hy + DT * hz
    return torch.cat([hy, hz])


def plrnn(w, z, s):
    """Durstewitz 2017."""
    return w["A"] * z + w["W"] @ torch.relu(z) + w["h"] + w["C"] @ s


def dendritic(w, z, s):
    """Brenner et al. 2022, equation 4."""
    bases = (w["alphas"] * torch.relu(z[:, None] + w["thetas"])).sum(dim=1)
    return w["A"] * z + w["W"] @ bases + w["h"] + w["C"] @ s


def shallow(w, z, s):
    """Hess et al. 2023, the shallow PLRNN."""
    hidden = torch.relu(w["W_2"] @ z + w["h_2"])
    return w["A"] * z + w["W_1"] @ hidden + w["h_1"] + w["C"] @ s


def shallow_clipped(w, z, s):
    """Hess et al. 2023, the clipped shallow PLRNN."""
    hidden = torch.relu(w["W_2"] @ z + w["h_2"]) - torch.relu(w["W_2"] @ z)
    return w["A"] * z + w["W_1"] @ hidden + w["h_1"] + w["C"] @ s


def minimal_gated(w, h, x):
    """Zhou et al. 2016."""
    W_f, W_g = w["W"][:N], w["W"][N:]
    U_f, U_g = w["U"][:N], w["U"][N:]
    f = torch.sigmoid(W_f @ x + U_f @ h + w["b"][:N])
    candidate = torch.tanh(W_g @ x + U_g @ (f * h) + w["b"][N:])
    return (1 - f) * h + f * candidate


def peephole_lstm(w, state, x):
    """Gers and Schmidhuber 2000; gates i f g o, peepholes of i f o, the state is (h, c)."""
    h, c = state[:N], state[N:]
    W_i, W_f, W_g, W_o = w["W"].split(N)
    U_i, U_f, U_g, U_o = w["U"].split(N)
    b_i, b_f, b_g, b_o = w["b"].split(N)
    p_i, p_f, p_o = w["peepholes"]
    i = torch.sigmoid(W_i @ x + U_i @ h + p_i * c + b_i)
    f = torch.sigmoid(W_f @ x + U_f @ h + p_f * c + b_f)
    c = f * c + i * torch.tanh(W_g @ x + U_g @ h + b_g)
    o = torch.sigmoid(W_o @ x + U_o @ h + p_o * c + b_o)
    return torch.cat([o * torch.tanh(c), c])


def independent(w, h, x):
    """Li et al. 2018."""
    return torch.tanh(w["W"] @ x + w["u"] * h + w["b"])


def state_space(w, state, x):
    """Orvieto et al. 2023, in complex arithmetic; the state is (Re s, Im s)."""
    s = torch.complex(state[:N], state[N:])
    s = w["eigenvalues"] * s + w["B"] @ x.to(torch.complex128)
    return torch.cat([s.real, s.imag])


def state_space_output(w, state, x):
    s = torch.complex(state[:N], state[N:])
    return (w["C"] @ s).real + w["D"] @ x + w["b"]


class Spike(torch.autograd.Function):
    """A spike with Zenke and Ganguli's surrogate as its derivative."""

    @staticmethod
    def forward(context, v):
        context.save_for_backward(v)
        return (v >= 0).to(v.dtype)

    @staticmethod
    def backward(context, gradient):
        (v,) = context.saved_tensors
        return gradient / (SHARPNESS * v.abs() + 1) ** 2


def spiking(w, v, x):
    """Leaky integrate-and-fire, reset by subtraction."""
    spikes = Spike.apply(v - THRESHOLD)
    return DECAY * v + w["W"] @ x + w["U"] @ spikes + w["b"] - spikes * THRESHOLD


def spiking_detached(w, v, x):
    """Return the same, with the reset left out of the derivative."""
    spikes = Spike.apply(v - THRESHOLD)
    return DECAY * v + w["W"] @ x + w["U"] @ spikes + w["b"] - spikes.detach() * THRESHOLD


def spiking_output(w, v, x):
    return (v >= THRESHOLD).to(v.dtype)


def slstm(w, state, x):
    """Beck et al. 2024, the pointwise equations of the authors' code.

    The state is (y, c/n, m + log n); that with n = 1 is taken for its c, n and m.
    """
    y, c, m = state.split(N)
    n = torch.ones(N)
    iraw, fraw, zraw, oraw = (w["W"] @ x + w["U"] @ y + w["b"]).split(N)
    logfplusm = m + torch.nn.functional.logsigmoid(torch.clamp(fraw, max=FORGET_LIMIT))
    mnew = torch.max(iraw, logfplusm)
    igate, fgate = torch.exp(iraw - mnew), torch.exp(logfplusm - mnew)
    cnew = fgate * c + igate * torch.tanh(zraw)
    nnew = fgate * n + igate
    ynew = torch.sigmoid(oraw) * cnew / nnew
    return torch.cat([ynew, cnew / nnew, mnew + torch.log(nnew)])


def para_gru(w, h, x):
    """Danieli et al. 2025; rows z r h."""
    Bx = w["W"] @ x + w["b"]
    z = torch.sigmoid(w["A"][0] * h + Bx[:N])
    r = torch.sigmoid(w["A"][1] * h + Bx[N : 2 * N])
    new = torch.tanh(w["A"][2] * h * r + Bx[2 * N :])
    return z * new + (1 - z) * h


def para_lstm(w, state, x):
    """Danieli et al. 2025; rows f o c, the state is (h, c)."""
    hh, cc = state.split(N)
    f, o, c = (torch.cat([a * hh for a in w["A"]]) + w["W"] @ x + w["b"]).split(N)
    f = torch.sigmoid(f + w["C"][0] * cc)
    cc = f * cc + (1 - f) * torch.tanh(c)
    o = torch.sigmoid(o + w["C"][1] * cc)
    return torch.cat([o * torch.tanh(cc), cc])


def min_gru(w, h, x):
    """Feng et al. 2024, section 3.1."""
    z, new = (w["W"] @ x + w["b"]).split(N)
    z = torch.sigmoid(z)
    return (1 - z) * h + z * new


def min_lstm(w, h, x):
    """Feng et al. 2024, section 3.2."""
    f, i, new = (w["W"] @ x + w["b"]).split(N)
    f, i = torch.sigmoid(f), torch.sigmoid(i)
    return f / (f + i) * h + i / (f + i) * new


def ugrnn(w, h, x):
    """Collins et al. 2017, equations 8 to 10."""
    g, c = (w["W"] @ x + w["U"] @ h + w["b"]).split(N)
    g = torch.sigmoid(g)
    return g * h + (1 - g) * torch.tanh(c)


def janet(w, h, x):
    """Van der Westhuizen and Lasenby 2018, equation 3, with β = 1."""
    s, c = (w["W"] @ x + w["U"] @ h + w["b"]).split(N)
    return torch.sigmoid(s) * h + (1 - torch.sigmoid(s - 1)) * torch.tanh(c)


def fast_grnn(w, h, x):
    """Kusupati et al. 2018, equations 3 and 4, with ζ and ν between 0 and 1."""
    b_z, b_h = w["b"].split(N)
    pre = w["W"] @ x + w["U"] @ h
    z = torch.sigmoid(pre + b_z)
    return (ZETA * (1 - z) + NU) * torch.tanh(pre + b_h) + z * h


INPUT = {"W": (N, M), "b": (N,)}
LATENT = {"C": (N, M), "A": (N,)}
PLAIN = {**INPUT, "U": (N, N)}
GATED = {g: {"W": (g * N, M), "U": (g * N, N), "b": (g * N,)} for g in (2, 4)}
SHALLOW = {**LATENT, "W_1": (N, HIDDEN), "W_2": (HIDDEN, N), "h_1": (N,), "h_2": (HIDDEN,)}
CASES = {
    "rate": (rate, N, PLAIN),
    "rate-rk4": (rate_rk4, N, PLAIN),
    "reservoir": (reservoir, N, PLAIN),
    "antisymmetric": (antisymmetric, N, PLAIN),
    "lipschitz": (lipschitz, N, {**INPUT, "B": (N, N), "C": (N, N)}),
    "cornn": (cornn, 2 * N, {**INPUT, "U_y": (N, N), "U_z": (N, N)}),
    "plrnn": (plrnn, N, {**LATENT, "W": (N, N), "h": (N,)}),
    "dendritic": (
        dendritic, N, {**LATENT, "W": (N, N), "h": (N,), "alphas": (3,), "thetas": (N, 3)},
    ),
    "shallow-plrnn": (shallow, N, SHALLOW),
    "shallow-plrnn-clipped": (shallow_clipped, N, SHALLOW),
    "minimal-gated": (minimal_gated, N, GATED[2]),
    "independent": (independent, N, {**INPUT, "u": (N,)}),
    "state-space": (
        state_space, 2 * N,
        {"eigenvalues": (N,), "B": (N, M), "C": (OUT, N), "D": (OUT, M), "b": (OUT,)},
    ),
    "spiking-surrogate": (spiking, N, PLAIN),
    "spiking-surrogate-detached": (spiking_detached, N, PLAIN),
    "peephole-lstm": (
        peephole_lstm, 2 * N,
        {**GATED[4], "peepholes": (3, N)},
    ),
    "slstm": (slstm, 3 * N, GATED[4]),
    "para-gru": (para_gru, N, {"W": (3 * N, M), "A": (3, N), "b": (3 * N,)}),
    "para-lstm": (
        para_lstm, 2 * N, {"W": (3 * N, M), "A": (3, N), "C": (2, N), "b": (3 * N,)},
    ),
    "min-gru": (min_gru, N, {"W": (2 * N, M), "b": (2 * N,)}),
    "min-lstm": (min_lstm, N, {"W": (3 * N, M), "b": (3 * N,)}),
    "ugrnn": (ugrnn, N, GATED[2]),
    "janet": (janet, N, GATED[2]),
    "fast-grnn": (fast_grnn, N, {**PLAIN, "b": (2 * N,)}),
}  # fmt: skip
OUTPUTS = {
    "state-space": state_space_output,
    "spiking-surrogate": spiking_output,
    "spiking-surrogate-detached": spiking_output,
}
COMPLEX = {"state-space": ("eigenvalues", "B", "C")}


def draw(shape, generator, complex_numbers):
    kind = torch.complex128 if complex_numbers else torch.float64
    return torch.randn(shape, generator=generator, dtype=kind) / shape[-1] ** 0.5 * 1.3


def record(name, generator):
    step, size, shapes = CASES[name]
    w = {n: draw(s, generator, n in COMPLEX.get(name, ())) for n, s in shapes.items()}
    inputs = torch.randn((STEPS, M), generator=generator, dtype=torch.float64)
    states = [torch.randn(size, generator=generator, dtype=torch.float64)]
    for x in inputs:
        states.append(step(w, states[-1], x))
    last = inputs[-1]
    found = {
        "inputs": inputs,
        "initial_state": states[0],
        "states": torch.stack(states[1:]),
        "jacobian": torch.autograd.functional.jacobian(lambda h: step(w, h, last), states[-2]),
    }
    if name in OUTPUTS:
        pairs = zip(states[1:], inputs, strict=True)
        found["outputs"] = torch.stack([OUTPUTS[name](w, h, x) for h, x in pairs])
    return {n: a.detach().numpy() for n, a in {**w, **found}.items()}


def main() -> None:
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    generator = torch.Generator().manual_seed(20261125)
    golden = {f"{c}/{n}": a for c in CASES for n, a in record(c, generator).items()}
    np.savez_compressed(GOLDEN / "other_cells.npz", **golden)


if __name__ == "__main__":
    main()
