"""The hook that exports gates, around a delta rule in torch that autograd differentiates."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import lyapy

torch = pytest.importorskip("torch")
EXAMPLE = Path(__file__).parents[2] / "examples" / "spectrum_of_gates_torch.py"
T, D_K, D_V = 60, 4, 3


def gated_delta_rule(query, key, value, g, beta, initial_state):
    """The recurrence of Gated DeltaNet, S (heads, d_k, d_v), two value heads for each key head."""
    key = (key * torch.rsqrt(key.square().sum(-1, keepdim=True) + 1e-6)).repeat_interleave(2, 2)
    S = initial_state
    for t in range(key.shape[1]):
        k, v = key[0, t], value[0, t]
        S = S * g[0, t].exp()[:, None, None]
        change = (v - torch.einsum("hk,hkv->hv", k, S)) * beta[0, t][:, None]
        S = S + torch.einsum("hk,hv->hkv", k, change)
    return S


def test_gates_are_those_of_the_state():
    spec = importlib.util.spec_from_file_location("example", EXAMPLE)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    draw = torch.Generator().manual_seed(0)
    normal = lambda *shape: torch.randn(shape, generator=draw, dtype=torch.float64)  # noqa: E731
    key, value = normal(1, T, 1, D_K), normal(1, T, 2, D_V)
    gates = {"g": -normal(1, T, 2).exp() / 10, "beta": normal(1, T, 2).sigmoid()}
    module = SimpleNamespace(rule=gated_delta_rule)
    start = normal(2, D_K, D_V)
    with example.exported_gates(module, "rule") as found:
        module.rule(key, key, value, **gates, initial_state=start)
    assert module.rule is gated_delta_rule
    for head, exported in enumerate(zip(*found[0], strict=True)):

        def final(state, head=head):
            whole = torch.stack([state if h == head else start[h] for h in range(2)])
            return module.rule(key, key, value, **gates, initial_state=whole)[head]

        J = torch.autograd.functional.jacobian(final, start[head]).numpy()
        sums = np.linalg.slogdet(J.reshape(D_K * D_V, D_K * D_V))[1] / T
        spectrum = lyapy.spectrum_of_gates(*exported, multiplicity=D_V)
        # the determinant of a product of 60 steps has fewer digits than the sum of exponents
        assert spectrum.exponents.sum() == pytest.approx(sums, rel=1e-9)
        product = np.eye(D_K)
        for decay, left, right in zip(*exported, strict=True):
            product = np.exp(decay) * product + np.outer(left, right @ product)
        np.testing.assert_allclose(J[:, 0, :, 0], product, atol=1e-14)
