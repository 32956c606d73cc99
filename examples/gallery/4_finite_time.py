"""
Exponents of a finite time
==========================

Over short windows exponents fluctuate; longer windows average. ``record_every`` makes the rows of
the history as short as the windows.
"""

import lyapy

network = lyapy.random_network("vanilla", 40, gain=2.0, seed=1)
spectrum = lyapy.lyapunov_spectrum(network, steps=5000, transient=500, k=8, record_every=20)
spectrum.plot("finite_time", 20, indices=(1, 4, 8))
