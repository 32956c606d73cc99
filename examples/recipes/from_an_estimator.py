"""The closed loop of an echo state network with scikit-learn's interface."""

import numpy as np

import lyapy
from lyapy.cells import Reservoir


def closed_loop_of(estimator):
    """Return the loop of a fitted estimator that predicts the next input.

    ``coef_`` (m, n) and ``intercept_`` are scikit-learn's names for a linear read-out; change the
    other names to those of your class.
    """
    reservoir = Reservoir(
        estimator.input_weights_,
        estimator.recurrent_weights_,
        estimator.bias_,
        leak=estimator.leak,
    )
    network = lyapy.Network([reservoir])
    return lyapy.ClosedLoop(network, estimator.coef_, np.ravel(estimator.intercept_))
