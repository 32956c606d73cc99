"""The leading spectrum of a looped transformer block in torch, whose Jacobian is never formed.

Run it where torch and lyapy are: ``python examples/spectrum_by_products_torch.py``.
"""

import torch

import lyapy

TOKENS, WIDTH, STEPS, TRANSIENT, LEADING = 16, 32, 256, 64, 8


class Block(torch.nn.Module):
    """One block that is applied again and again to all tokens, in place of a trained model."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = torch.nn.MultiheadAttention(WIDTH, 4, batch_first=True)
        self.mlp = torch.nn.Sequential(
            torch.nn.Linear(WIDTH, 4 * WIDTH), torch.nn.GELU(), torch.nn.Linear(4 * WIDTH, WIDTH)
        )
        self.norms = torch.nn.ModuleList(torch.nn.LayerNorm(WIDTH) for _ in range(2))

    def forward(self, state: torch.Tensor) -> torch.Tensor:
        """Return the next state (tokens · width,)."""
        x = state.reshape(1, TOKENS, WIDTH)
        y = self.norms[0](x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        x = 0.9 * x + self.mlp(self.norms[1](x))
        return x.reshape(-1)


def main() -> None:
    """Compute the leading exponents."""
    torch.manual_seed(0)
    block = Block().double().requires_grad_(False)

    def step(h, x):
        return block(torch.from_numpy(h))

    def products(h, x, Q):
        state, vectors = torch.from_numpy(h), torch.from_numpy(Q)
        along = lambda q: torch.func.jvp(block, (state,), (q,))[1]  # noqa: E731
        return torch.vmap(along)(vectors)

    network = lyapy.Network([lyapy.Map(step, products=products, state_size=TOKENS * WIDTH)])
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        spectrum = lyapy.lyapunov_spectrum(network, steps=STEPS, transient=TRANSIENT, k=LEADING)
    print(spectrum)


if __name__ == "__main__":
    main()
