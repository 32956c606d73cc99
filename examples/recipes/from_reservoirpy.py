"""The spectrum of a reservoirpy node: its matrices are taken as they are."""

import numpy as np

import lyapy
from lyapy.cells import Reservoir


def network_of(node):
    """Return the network of an initialized ``reservoirpy.nodes.Reservoir``."""
    return lyapy.Network([Reservoir(node.Win, node.W, node.bias, leak=node.lr)])


def closed_loop_of(node, readout):
    """Return the loop of a node and a ``Ridge`` that was trained to predict the next input."""
    return lyapy.ClosedLoop(network_of(node), readout.Wout.T, np.ravel(readout.bias))
