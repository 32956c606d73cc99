"""Regressions of a metric on spectra, and what these add to columns that are known anyway."""

import numpy as np
import pytest

import lyapy
from lyapy.sweeps.association import predictions
from lyapy.sweeps.regressions import Smooth, baseline_features

from .test_reading import rows

pytest.importorskip("sklearn", reason="scikit-learn is not installed")
COUNT = 45


def trained_networks(own=0.0, noise=0.05, seed=0):
    """Return networks whose loss and spectrum follow the learning rate, and ``own`` parts."""
    rng = np.random.default_rng(seed)
    lr, dropout = 10.0 ** rng.uniform(-4.0, -1.0, COUNT), rng.choice([0.0, 0.2, 0.5], COUNT)
    hidden = rng.normal(size=COUNT)
    fit = 0.3 * (np.log10(lr) + 4.0) ** 2
    shapes = np.linspace(-0.1, -3.0, 12)
    spectra = [
        np.sort(shapes + 0.4 * np.tanh(np.log10(x) + 2.5) + 0.3 * h + noise * rng.normal(size=12))
        for x, h in zip(lr, own * hidden, strict=True)
    ]
    loss = fit + dropout + own * hidden + 0.05 * rng.normal(size=COUNT)
    columns = {"loss": loss, "lr": lr, "dropout": dropout, "run": np.arange(COUNT) // 3}
    return lyapy.Sweep(
        rows([s[::-1] for s in spectra], **columns, kind=["ab"[int(x > 0.1)] for x in dropout])
    )


@pytest.mark.parametrize("groups", [None, "run"])
def test_a_spectrum_that_follows_the_learning_rate_adds_nothing(groups):
    found = {
        p.features: p
        for p in predictions(
            trained_networks(), "loss", baseline=["lr", "dropout"], groups=groups, length=12
        )
    }
    assert found["baseline"].r_squared > 0.95 and found["baseline"].increment is None
    # alone it seems to predict the loss
    assert found["components"].r_squared > 0.2
    for name in ("largest", "mean", "spectrum", "components"):
        increment = found[name].increment
        assert abs(increment.value) < 0.01
        assert increment.low - 0.005 < 0.0 < increment.high + 0.005


def test_a_spectrum_with_a_part_of_its_own_adds_it():
    sweep = trained_networks(own=1.2)
    found = {
        p.features: p for p in predictions(sweep, "loss", baseline=["lr", "dropout"], length=12)
    }
    for name in ("mean", "spectrum", "components"):
        increment = found[name].increment
        assert 0.3 < increment.low < increment.value < increment.high
        assert found["baseline"].r_squared + increment.value > 0.6


def test_networks_of_one_training_add_nothing_by_being_recognized():
    """Epochs of a training have its loss and almost its spectrum."""
    rng = np.random.default_rng(3)
    centres, losses = rng.normal(size=(12, 4)), rng.normal(size=12)
    spectra = [centres[i // 5] + 1e-3 * rng.normal(size=4) for i in range(60)]
    run = [i // 5 for i in range(60)]
    columns = {"loss": [losses[r] for r in run], "lr": [float(r % 3) for r in run], "run": run}
    sweep = lyapy.Sweep(rows([np.sort(s)[::-1] for s in spectra], **columns))
    options = {"baseline": ["lr"], "length": 4}
    apart = {p.features: p for p in predictions(sweep, "loss", groups="run", **options)}
    leaky = {p.features: p for p in predictions(sweep, "loss", **options)}
    assert leaky["spectrum"].increment.low > 0.1
    # groups are drawn as a whole, which is a wide interval
    assert apart["spectrum"].increment.low < 0.0 and apart["spectrum"].r_squared < 0.1


def test_components_are_as_many_as_the_spectra_need():
    """The loss is the sum of two directions of the spectra, of which the larger one is noise."""
    rng = np.random.default_rng(4)
    noise, signal = rng.normal(size=(2, COUNT))
    base = np.linspace(0.0, -8.0, 10)
    spectra = base + noise[:, None] * 0.02 + 0.01 * signal[:, None] * np.sign(base + 4.0)
    sweep = lyapy.Sweep(rows(list(spectra), loss=signal))
    found = {p.features: p.r_squared for p in predictions(sweep, "loss", length=10)}
    assert found["components"] > 0.99 > 0.5 > found["mean"]


def test_text_is_a_feature_for_each_value_but_the_first():
    found = baseline_features({"kind": np.array(["a", "b", "c", "b"]), "p": np.array([1, 2, 3, 4])})
    np.testing.assert_array_equal(found, [[0, 0, 1], [1, 0, 2], [0, 1, 3], [1, 0, 4]])
    wide = baseline_features({"lr": np.array([0.001, 0.01, np.nan])})
    np.testing.assert_allclose(wide[:2, 0], np.log([0.001, 0.01]))
    assert np.isnan(wide[2, 0])


def test_a_smooth_function_returns_to_the_mean():
    x = np.linspace(-1.0, 1.0, 40)[:, None]
    smooth = Smooth().fit(x, np.sin(3.0 * x[:, 0]))
    near = np.array([[0.123], [-0.71]])
    np.testing.assert_allclose(smooth.predict(near), np.sin(3.0 * near[:, 0]), atol=1e-3)
    assert smooth.predict(np.array([[1e3]]))[0] == pytest.approx(0.0, abs=1e-6)


def test_a_missing_value_of_the_baseline_leaves_the_network_out():
    sweep = trained_networks()
    lr = sweep.numbers("lr")
    lr[:7] = np.nan
    columns = {"loss": sweep.numbers("loss"), "lr": lr}
    sweep = lyapy.Sweep(rows(list(sweep.exponents), **columns))
    assert {p.networks for p in predictions(sweep, "loss", baseline=["lr"])} == {COUNT - 7}
