"""Spectra of the heads of a Gated DeltaNet layer, from the gates that one forward pass exports.

The layer is one of Qwen3-Next with random weights; put a trained model in its place. Run it where
torch, transformers and lyapy are: ``python examples/spectrum_of_gates_torch.py``.
"""

from contextlib import contextmanager

import torch

import lyapy

STEPS, TRANSIENT = 512, 64


@contextmanager
def exported_gates(module, name):
    """Collect (log_decay, left, right), each (heads, T, d), at each call of a delta rule."""
    rule, found = getattr(module, name), []

    def exporting(query, key, value, g, beta, **options):
        k = key[0].double().repeat_interleave(value.shape[2] // key.shape[2], dim=1)
        k = k * torch.rsqrt(k.square().sum(-1, keepdim=True) + 1e-6)
        log_decay, b = g[0].double()[..., None], beta[0].double()[..., None]
        gates = (log_decay, -log_decay.exp() * b * k, k)
        found.append([gate.transpose(0, 1).detach().numpy() for gate in gates])
        return rule(query, key, value, g=g, beta=beta, **options)

    setattr(module, name, exporting)
    try:
        yield found
    finally:
        setattr(module, name, rule)


def main() -> None:
    """Export the gates, and print the largest time constants of each head."""
    from transformers.models.qwen3_next import modeling_qwen3_next as qwen

    torch.manual_seed(0)
    config = qwen.Qwen3NextConfig(
        hidden_size=64, linear_num_key_heads=2, linear_num_value_heads=4, linear_key_head_dim=16,
        linear_value_head_dim=16, num_hidden_layers=1,
    )  # fmt: skip
    layer = qwen.Qwen3NextGatedDeltaNet(config, 0)
    tokens = torch.randn(1, TRANSIENT + STEPS, config.hidden_size)
    with exported_gates(qwen, "torch_chunk_gated_delta_rule") as found, torch.no_grad():
        layer(tokens)
    for head, gates in enumerate(zip(*found[0], strict=True)):
        spectrum = lyapy.spectrum_of_gates(*gates, multiplicity=16, transient=TRANSIENT)
        largest, residual = spectrum.exponents[0], spectrum.sum_rule_residual
        memory = f"remembers for {-1 / largest:.3g} steps"
        print(f"head {head}: {memory}, sum rule to {residual:.0e}, {spectrum.status.code}")


if __name__ == "__main__":
    main()
