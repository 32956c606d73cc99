"""
A run at a glance
=================

``plot("summary")`` has the spectrum with its errors, and its convergence in time;
``plot("convergence")`` the latter alone.
"""

import lyapy

network, inputs, text = lyapy.load_example()
spectrum = lyapy.lyapunov_spectrum(network, inputs[:4], transient=500, steps=800, k=8)
spectrum.plot("summary")
