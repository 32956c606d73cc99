"""The GPU engine: all trajectories side by side on the arrays of one device."""
