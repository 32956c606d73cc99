"""The leading spectrum of a PDE stepper in JAX, whose Jacobian is never formed.

The Kuramoto–Sivashinsky equation u_t = −u u_x − u_xx − u_xxxx on a ring of length 22, by
exponential time differencing (ETDRK4). Run it where jax and lyapy are:
``python examples/spectrum_by_products_jax.py``.
"""

import jax
import jax.numpy as jnp
import numpy as np

import lyapy

LENGTH, POINTS, DT = 22.0, 64, 0.25
STEPS, TRANSIENT, LEADING = 4000, 800, 10


def stepper():
    """Return the step of the equation (Kassam and Trefethen 2005), u (points,) to u."""
    waves = 2 * np.pi / LENGTH * np.fft.rfftfreq(POINTS, 1 / POINTS)
    linear = waves**2 - waves**4
    points = np.exp(1j * np.pi * (np.arange(1, 33) - 0.5) / 32)
    z = DT * linear[:, None] + points
    whole, half = np.exp(DT * linear), np.exp(DT * linear / 2)
    q = DT * np.mean((np.exp(z / 2) - 1) / z, axis=1).real
    f1 = DT * np.mean((-4 - z + np.exp(z) * (4 - 3 * z + z**2)) / z**3, axis=1).real
    f2 = DT * np.mean((2 + z + np.exp(z) * (z - 2)) / z**3, axis=1).real
    f3 = DT * np.mean((-4 - 3 * z - z**2 + np.exp(z) * (4 - z)) / z**3, axis=1).real

    def nonlinear(v):
        return -0.5j * waves * jnp.fft.rfft(jnp.fft.irfft(v, POINTS) ** 2)

    def step(u):
        v = jnp.fft.rfft(u)
        n = nonlinear(v)
        a = half * v + q * n
        na = nonlinear(a)
        nb = nonlinear(half * v + q * na)
        c = half * a + q * (2 * nb - n)
        return jnp.fft.irfft(whole * v + f1 * n + 2 * f2 * (na + nb) + f3 * nonlinear(c), POINTS)

    return jax.jit(step)


def main() -> None:
    """Compute the leading exponents, per unit of time."""
    jax.config.update("jax_enable_x64", True)
    step = stepper()

    @jax.jit
    def images(u, Q):
        _, along = jax.linearize(step, u)
        return jax.vmap(along)(Q)

    cell = lyapy.Map(lambda h, x: step(h), products=lambda h, x, Q: images(h, Q), state_size=POINTS)
    start = np.cos(2 * np.pi * np.arange(POINTS) / POINTS)
    start += 0.1 * np.sin(4 * np.pi * np.arange(POINTS) / POINTS)
    spectrum = lyapy.lyapunov_spectrum(
        lyapy.Network([cell]),
        steps=STEPS,
        transient=TRANSIENT,
        k=LEADING,
        initial_state=start,
        dt=DT,
    )
    for value, error in zip(spectrum.exponents, spectrum.standard_error, strict=True):
        print(f"{value:.4f} ± {error:.4f} nats per unit of time")
    print(f"Kaplan-Yorke dimension {spectrum.kaplan_yorke_dimension:.3f}")


if __name__ == "__main__":
    main()
