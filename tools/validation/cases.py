"""The exact and published cases: a spectrum of each, and its known numbers."""

from . import exact, flows, maps, networks
from .check import Case

CASES = [
    Case("exact", exact.orthogonal),
    Case("exact", exact.symmetric),
    Case("exact", exact.general),
    Case("exact", exact.cat_map),
    Case("exact", exact.period_three),
    Case("exact", exact.idle_gru),
    Case("exact", exact.idle_lstm),
    Case("exact", exact.resting_rate),
    Case("exact", networks.at_rest),
    Case("exact", exact.sum_rule),
    Case("Newman 1986", exact.gaussian),
    Case("exact", maps.logistic),
    Case("exact", maps.standard_map),
    Case("Sprott 2003", maps.henon),
    Case("Sprott 2003", maps.lozi),
    Case("Sprott 2003", maps.ikeda),
    Case("Sprott 2003", flows.lorenz, slow=True),
    Case("Sprott 2003", flows.roessler, slow=True),
    Case("Lorenz and Emanuel 1998", flows.lorenz_96, slow=True),
    Case("Molgedey et al. 1992", networks.mean_field, slow=True),
    Case("Engelken, Wolf and Abbott 2023", networks.mean_of_slopes, slow=True),
    Case("Engelken, Wolf and Abbott 2023", networks.engelken, slow=True),
    Case("mean-field theory, n = 200", networks.random_map, slow=True),
    Case("independent route", networks.two_trajectories, slow=True),
]
