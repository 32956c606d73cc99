"""Results of a sweep: tables, features, spectra of one length, correlations with a metric."""

import csv
import io
import itertools
import json
import math

import h5py
import numpy as np
import pytest
from scipy import stats

import lyapy
from lyapy.cli import main
from lyapy.sweeps.association import associations, correlate, predictions
from lyapy.sweeps.merged_file import write_merged
from lyapy.sweeps.rows import common_positions, resample, row_of, row_without
from tests.support.made_spectra import made


def rows(spectra, **metadata):
    found = []
    for i, exponents in enumerate(spectra):
        spectrum = made(exponents, state_size=len(exponents), noise=0.0)
        spectrum.settings.update(network="made", network_sha256="0")
        columns = {name: values[i] for name, values in metadata.items()}
        found.append(row_of(f"net{i:03}", spectrum, "0")._replace(metadata=columns))
    return [*found, row_without("zz", "failed", "is broken")]


SPECTRA = [[0.3, -1.0, -np.inf], [0.2, 0.1, -0.5, -2.0], [-0.25, -1.0]]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    columns = {"lr": [0.1, 0.01, 1], "kind": ["a", "b, c", "d"], "epoch": [1, 2, 3]}
    write_merged(rows(SPECTRA, **columns), {}, "sweep.h5")
    return tmp_path


@pytest.mark.usefixtures("folder")
def test_metadata_come_back_with_their_kinds():
    found = lyapy.Sweep.load("sweep.h5")
    assert found.rows[1].metadata == {"lr": 0.01, "kind": "b, c", "epoch": 2}
    assert found.metadata_names == ["epoch", "kind", "lr"]
    # the network without a result has no metadata
    assert found.rows[3].metadata["kind"] == ""
    assert math.isnan(found.rows[3].metadata["lr"])
    with h5py.File("sweep.h5") as file:
        assert {"units", "description"} < set(file["metadata/lr"].attrs)
        assert file["metadata/lr"].dims[0][0].name == "/network"


@pytest.mark.usefixtures("folder")
def test_show_has_the_metadata_next_to_the_names(capsys):
    assert main(["show", "sweep.h5"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].split()[:5] == ["network", "epoch", "kind", "lr", "k"]
    assert lines[3].split()[:6] == ["net000", "1", "a", "0.1", "3", "0.3"]
    assert lines[6].split() == ["zz", "failed"]
    assert main(["show", "sweep.h5", "--json"]) == 0
    assert [row.get("lr") for row in json.loads(capsys.readouterr().out)] == [0.1, 0.01, 1.0, None]


@pytest.mark.usefixtures("folder")
def test_csv_has_every_digit(capsys):
    assert main(["show", "sweep.h5", "--csv"]) == 0
    lines = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    found = lyapy.Sweep.load("sweep.h5")
    assert [line["kind"] for line in lines] == ["a", "b, c", "d", ""]
    assert lines[0]["exponent_3"] == "-inf"
    assert lines[2]["exponent_3"] == lines[3]["exponent_1"] == ""
    assert float(lines[1]["exponent_2"]) == found.exponents[1, 1]
    assert lines[3]["status"] == "failed" and lines[3]["advice"] == "is broken"


@pytest.mark.usefixtures("folder")
def test_a_data_frame_is_made_of_the_columns():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = pandas.DataFrame(lyapy.Sweep.load("sweep.h5").columns(spectra=True))
    assert frame.set_index("name").loc["net001", "largest"] == pytest.approx(0.2)
    assert frame["epoch"].mean() == 2.0


def test_a_run_file_instead_of_a_merged_one_is_refused(folder, capsys):
    made([0.1]).save("run.h5")
    assert main(["show", "run.h5", "--metric", "loss"]) == 2
    assert "run.h5: is no merged file; --metric needs one" in capsys.readouterr().err


def test_rows_may_be_saved_without_runs(folder, capsys):
    found = lyapy.Sweep.load("sweep.h5")
    lyapy.Sweep(found.rows[1:]).save("few.h5")
    again = lyapy.Sweep.load("few.h5")
    # NaN equals itself in words only
    assert [str(r.columns) for r in again.rows] == [str(r.columns) for r in found.rows[1:]]
    np.testing.assert_array_equal(again.exponents[0], found.exponents[1])
    assert again.rows[0].metadata == found.rows[1].metadata
    with pytest.raises(FileExistsError):
        found.save("few.h5")
    assert main(["show", "few.h5", "--network", "net001"]) == 2
    assert "few.h5: has only the row of net001, without its run" in capsys.readouterr().err


def test_features_are_those_of_each_spectrum():
    features = lyapy.Sweep(rows(SPECTRA)).features()
    np.testing.assert_allclose(features["largest"], [0.3, 0.2, -0.25, np.nan], rtol=1e-12)
    np.testing.assert_allclose(features["positive"], [1, 2, 0, np.nan])
    np.testing.assert_allclose(features["mean"], [-np.inf, -0.55, -0.625, np.nan], rtol=1e-12)
    dimension = features["kaplan_yorke_dimension"]
    np.testing.assert_allclose(dimension, [1.3, 2.6, 0, np.nan], rtol=1e-12)


@pytest.mark.parametrize("size", [5, 40, 41])
def test_resampling_keeps_straight_spectra_straight(size):
    def line(places):
        return 0.5 - 2.0 * places

    exponents = line((np.arange(size) + 0.5) / size)
    positions = common_positions([size], [size], size)
    np.testing.assert_allclose(resample(exponents, size, positions), exponents, rtol=1e-13)
    inside = np.linspace(0.5 / size, 1 - 0.5 / size, 17)
    np.testing.assert_allclose(resample(exponents, size, inside), line(inside), atol=1e-13)


def test_resampled_spectra_end_where_the_shortest_does_and_dead_stays_dead():
    positions = common_positions([2, 10], [8, 10], 4)
    np.testing.assert_allclose(positions, [1 / 32, 3 / 32, 5 / 32, 7 / 32])
    places = np.array([0.0, 0.25, 0.49, 0.51, 0.9])
    found = resample(np.array([0.0, -1.0, -np.inf, -np.inf]), 4, places)
    np.testing.assert_allclose(found, [0.0, -0.5, -1.0, -np.inf, -np.inf])
    table = lyapy.Sweep(rows([[0.1, -1.0], [0.1, -0.4, -0.9, -2.0]])).resampled(2)
    np.testing.assert_allclose(table, [[0.1, -1.0], [-0.15, -1.45], [np.nan, np.nan]])


def samples(n, seed=0, slope=0.6):
    random = np.random.default_rng(seed)
    x = random.normal(size=n)
    return x, slope * x + random.normal(size=n)


def test_correlations_are_scipys():
    x, y = samples(30)
    found, expected = correlate(x, y), stats.pearsonr(x, y)
    assert found.value == pytest.approx(expected.statistic, rel=1e-12)
    interval = expected.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-12)
    ranks = correlate(stats.rankdata(x), stats.rankdata(y), ranks=True)
    assert ranks.value == pytest.approx(stats.spearmanr(x, y).statistic, rel=1e-12)
    assert ranks.low < ranks.value < ranks.high


def test_permutation_p_value_is_that_of_all_permutations():
    x, y = samples(6, seed=4)
    r = abs(np.corrcoef(x, y)[0, 1])
    every = [abs(np.corrcoef(x[list(p)], y)[0, 1]) for p in itertools.permutations(range(6))]
    exact = np.mean(np.array(every) >= r - 1e-12)
    assert 0.01 < exact < 0.9
    assert correlate(x, y, permutations=20_000).p_value == pytest.approx(exact, abs=0.012)


@pytest.mark.parametrize("ranks", [False, True])
def test_intervals_cover_and_p_values_are_uniform_without_association(ranks):
    n, slope = 25, 0.75
    rho = slope / math.sqrt(1 + slope**2)
    true = 6 / math.pi * math.asin(rho / 2) if ranks else rho
    transform = stats.rankdata if ranks else np.asarray
    covered, small = 0, 0
    for seed in range(400):
        x, y = (transform(v) for v in samples(n, seed, slope))
        found = correlate(x, y, permutations=1, ranks=ranks)
        covered += found.low <= true <= found.high
        x, y = (transform(v) for v in samples(n, seed, 0.0))
        small += correlate(x, y, permutations=199).p_value <= 0.1
    assert 0.92 <= covered / 400 <= 0.98
    assert 0.06 <= small / 400 <= 0.14


def sweep_with_loss(count=40):
    """Return networks of two sizes whose loss is a line in the mean exponent, and noise."""
    random = np.random.default_rng(1)
    sizes = [5 + i % 2 for i in range(count)]
    spectra = [np.sort(random.normal(size=n))[::-1] - 2.0 * random.random() for n in sizes]
    loss = [3.0 + 2.0 * np.mean(s) + 0.05 * random.normal() for s in spectra]
    noise = np.random.default_rng(7).normal(size=count)
    columns = {"loss": loss, "noise": noise, "run": [i // 4 for i in range(count)]}
    return lyapy.Sweep(rows(spectra, **columns, text=["a"] * count))


def test_an_association_is_found_where_it_is():
    sweep = sweep_with_loss()
    found = {a.feature: a for a in associations(sweep, "loss")}
    assert found["mean"].pearson.value > 0.99
    assert found["mean"].spearman.p_value == pytest.approx(1e-4)
    assert found["mean"].networks == 40
    assert found["mean"].pearson.low > abs(found["largest"].pearson.value)
    other = {a.feature: a for a in associations(sweep, "noise")}
    assert other["mean"].pearson.p_value > 0.05
    assert other["mean"].pearson.low < 0 < other["mean"].pearson.high


@pytest.mark.parametrize("groups", [None, "run"])
def test_regressions_predict_networks_left_out(groups):
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    sweep = sweep_with_loss()
    found = {p.features: p for p in predictions(sweep, "loss", groups=groups)}
    assert found["mean"].r_squared > 0.98
    assert found["mean"].error == pytest.approx(0.05, rel=0.5)
    assert found["spectrum"].r_squared > 0.8
    assert found["largest"].r_squared < 0.9
    for prediction in predictions(sweep, "noise", groups=groups):
        assert prediction.r_squared < 0.2


def test_a_group_is_never_on_both_sides():
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    # a loss that belongs to its training alone: seen epochs would give it away
    random = np.random.default_rng(0)
    centres, losses = random.normal(size=10), random.normal(size=10)
    spectra = [[centres[i // 8] + 1e-3 * random.normal(), -5.0] for i in range(80)]
    columns = {"loss": [losses[i // 8] for i in range(80)], "run": [i // 8 for i in range(80)]}
    sweep = lyapy.Sweep(rows(spectra, **columns))
    apart = {p.features: p.r_squared for p in predictions(sweep, "loss", groups="run", length=2)}
    assert apart["largest"] < 0.3


def test_a_column_without_numbers_is_refused():
    sweep = sweep_with_loss()
    for metric, message in [("losss", "is no column"), ("text", "column of text")]:
        with pytest.raises(ValueError, match=message):
            associations(sweep, metric)
    with pytest.raises(ValueError, match="fewer than 4 networks"):
        associations(lyapy.Sweep(rows(SPECTRA, loss=[1.0, 2.0, 3.0])), "loss")


def test_show_has_the_correlations_of_a_metric(tmp_path, capsys):
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    write_merged(sweep_with_loss().rows, {}, tmp_path / "sweep.h5")
    assert main(["show", str(tmp_path / "sweep.h5"), "--metric", "loss", "--groups", "run"]) == 0
    out = capsys.readouterr().out
    assert "mean                          40   +0.99" in out
    assert "5 folds, each run as a whole" in out


def test_a_sweep_is_a_collection_of_rows(folder):
    sweep = lyapy.Sweep.load("sweep.h5")
    assert len(sweep) == 4 and [row.name for row in sweep] == sweep.names
    assert sweep["net001"] is sweep[1] is list(sweep)[1]
    assert sweep[1:3].names == ["net001", "net002"]
    np.testing.assert_array_equal(sweep["net002"].exponents, SPECTRA[2])
    with pytest.raises(KeyError, match="no network is named 'net01'; there are net001"):
        sweep["net01"]


def test_a_sweep_is_a_data_frame_and_a_table(folder):
    sweep = lyapy.Sweep.load("sweep.h5")
    frame = sweep.to_dataframe(spectra=True)
    assert list(frame.index) == sweep.names and frame.index.name == "name"
    assert frame.loc["net001", "exponent_4"] == -2.0 and frame.loc["net001", "kind"] == "b, c"
    assert frame.attrs == {"units": "nats per step"}
    assert str(sweep).splitlines()[0] == "3 spectra of 4 networks, in nats per step"
    assert "<td" in sweep._repr_html_() and "failed" in sweep._repr_html_()
    for number, row in enumerate(row for row in sweep if row.has_result):
        row.columns["advice"] = f"Give <{min(number, 1)}> more steps."
    names = [row.name for row in sweep if row.has_result]
    status = sweep[names[1]].columns["status"]
    reason = f"{status}: {names[1]} and 1 more: Give <1> more steps."
    assert str(sweep).splitlines()[-3:-1] == [
        reason,
        f"{sweep[names[0]].columns['status']}: {names[0]}: Give <0> more steps.",
    ]
    assert reason.replace("<1>", "&lt;1&gt;") in sweep._repr_html_()
    many = lyapy.Sweep(rows([[0.1]] * 40))
    assert many._repr_html_().count("<tr>") == 1 + 20 + 1 + 5
