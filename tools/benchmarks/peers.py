"""The same spectra as an expert would compute them in JAX and in PyTorch, in float64."""

import time

import numpy as np

ROUNDS = 3


def weights_of(network):
    layers = []
    for cell in network.cells:
        c = getattr(cell.weights, "c", np.zeros(0))
        layers.append((cell.name, cell.W, cell.weights.U, cell.b, c))
    return layers


def jax_seconds(network, inputs, k, interval, clock=time.perf_counter):
    """Return seconds per step and trajectory: jit, vmap over trajectories, scan over time."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    layers = [(kind, *map(jnp.asarray, arrays)) for kind, *arrays in weights_of(network)]
    sizes = [cell.state_size for cell in network.cells]

    def cell_step(kind, W, U, b, c, h, x):
        n = U.shape[1]
        if kind == "vanilla":
            return jnp.tanh(W @ x + b + U @ h)
        if kind == "gru":
            a, v = W @ x + b, U @ h
            r = jax.nn.sigmoid(a[:n] + v[:n])
            z = jax.nn.sigmoid(a[n : 2 * n] + v[n : 2 * n])
            g = jnp.tanh(a[2 * n :] + r * (v[2 * n :] + c))
            return (1 - z) * g + z * h
        a = W @ x + b + U @ h[:n]
        i, f, g, o = jnp.split(a, 4)
        new = jax.nn.sigmoid(f) * h[n:] + jax.nn.sigmoid(i) * jnp.tanh(g)
        return jnp.concatenate([jax.nn.sigmoid(o) * jnp.tanh(new), new])

    def step(state, x):
        parts, start = [], 0
        for (kind, W, U, b, c), size in zip(layers, sizes, strict=True):
            parts.append(cell_step(kind, W, U, b, c, state[start : start + size], x))
            start += size
            x = parts[-1][: U.shape[1]]
        return jnp.concatenate(parts)

    def span(carry, xs):
        def one(carry, x):
            state, frame = carry
            new, tangent = jax.linearize(lambda s: step(s, x), state)
            return (new, jax.vmap(tangent)(frame)), None

        (state, frame), _ = jax.lax.scan(one, carry, xs)
        columns, upper = jnp.linalg.qr(frame.T)
        return (state, columns.T), jnp.log(jnp.abs(jnp.diagonal(upper)))

    def trajectory(frame, xs):
        spans = xs.reshape(-1, interval, xs.shape[-1])
        _, logs = jax.lax.scan(span, (jnp.zeros(sum(sizes)), frame), spans)
        return logs.sum(axis=0) / len(xs)

    B, T, _ = inputs.shape
    xs = jnp.asarray(inputs[:, : T // interval * interval])
    frames = jnp.asarray(np.stack([_frame(sum(sizes), k)] * B))
    compiled = jax.jit(jax.vmap(trajectory))
    compiled(frames, xs).block_until_ready()
    seconds = _median(lambda: compiled(frames, xs).block_until_ready(), clock)
    return seconds / (B * xs.shape[1])


def torch_seconds(network, inputs, k, device="cpu"):
    """Return seconds per step and trajectory: batched dense Jacobians, QR at every step."""
    import torch

    torch.set_num_threads(1)
    kind, *arrays = weights_of(network)[0]
    W, U, b, c = (torch.as_tensor(array, device=device) for array in arrays)
    n, D = U.shape[1], network.state_size
    xs = torch.as_tensor(inputs, device=device)
    B, T, _ = xs.shape

    def vanilla(h, x):
        h = torch.tanh(x @ W.T + b + h @ U.T)
        return h, (1 - h * h)[:, :, None] * U

    def gru(h, x):
        a, v = x @ W.T + b, h @ U.T
        r = torch.sigmoid(a[:, :n] + v[:, :n])
        z = torch.sigmoid(a[:, n : 2 * n] + v[:, n : 2 * n])
        inner = v[:, 2 * n :] + c
        g = torch.tanh(a[:, 2 * n :] + r * inner)
        s = (1 - z) * (1 - g * g)
        J = torch.diag_embed(z) + ((h - g) * z * (1 - z))[:, :, None] * U[n : 2 * n]
        J = J + (s * r)[:, :, None] * U[2 * n :] + (s * inner * r * (1 - r))[:, :, None] * U[:n]
        return (1 - z) * g + z * h, J

    def lstm(h, x):
        a = x @ W.T + b + h[:, :n] @ U.T
        i, f, o = (torch.sigmoid(a[:, j * n : (j + 1) * n]) for j in (0, 1, 3))
        g = torch.tanh(a[:, 2 * n : 3 * n])
        old = h[:, n:]
        new = f * old + i * g
        v = torch.tanh(new)
        A = (old * f * (1 - f))[:, :, None] * U[n : 2 * n] + (g * i * (1 - i))[:, :, None] * U[:n]
        A = A + (i * (1 - g * g))[:, :, None] * U[2 * n : 3 * n]
        e = o * (1 - v * v)
        top = e[:, :, None] * A + (v * o * (1 - o))[:, :, None] * U[3 * n :]
        upper = torch.cat([top, torch.diag_embed(e * f)], dim=2)
        lower = torch.cat([A, torch.diag_embed(f)], dim=2)
        return torch.cat([o * v, new], dim=1), torch.cat([upper, lower], dim=1)

    step = {"vanilla": vanilla, "gru": gru, "lstm": lstm}[kind]
    start = torch.as_tensor(_frame(D, k), device=device).T.expand(B, D, k)

    def run():
        h, Q = torch.zeros(B, D, dtype=torch.float64, device=device), start
        for t in range(T):
            h, J = step(h, xs[:, t])
            Q, R = torch.linalg.qr(J @ Q)
            logs = torch.log(torch.abs(torch.diagonal(R, dim1=1, dim2=2)))
        # waits for the device
        logs.sum().item()

    run()
    return _median(run) / (B * T)


def _frame(D, k):
    return np.linalg.qr(np.random.default_rng(0).normal(size=(D, k)))[0].T.copy()


def _median(function, clock=time.perf_counter):
    times = []
    for _ in range(ROUNDS):
        start = clock()
        function()
        times.append(clock() - start)
    return float(np.median(times))
