"""A spectrum as a table and as JSON."""

import json

import numpy as np
import pytest

from lyapy.spectra.text import spectrum_summary, spectrum_table
from tests.support.made_spectra import computed, made


def line(table, start):
    (found,) = [text for text in table.splitlines()[2:] if text.strip().startswith(start)]
    return " ".join(found.split())


def test_first_and_last_exponents_are_shown_in_order():
    table = spectrum_table(made(np.linspace(0.5, -3.5, 41), noise=0))
    numbers = [row.split()[0] for row in table.splitlines()[3:14]]
    assert numbers == ["1", "2", "3", "4", "5", "6", "7", "8", "...", "40", "41"]
    assert table.startswith("41 of 41 Lyapunov exponents, in nats per step\n")
    assert float(line(table, "40 ").split()[1]) == pytest.approx(-3.4)


@pytest.mark.parametrize("count", [1, 8, 10, 11])
def test_few_exponents_are_shown_without_a_gap(count):
    table = spectrum_table(made(np.linspace(0.5, -1, count)))
    assert "..." not in table
    assert line(table, f"{count} ")


def test_decimals_follow_the_smallest_error():
    spectrum = made([0.5, -1.0], noise=0.01)
    error = spectrum.standard_error
    table = spectrum_table(spectrum)
    decimals = 1 - int(np.floor(np.log10(error.min())))
    expected = f"1 {spectrum.exponents[0]:.{decimals}f} {error[0]:.{decimals}f} 2"
    assert line(table, "1 ") == expected


def test_dead_unresolved_and_unknown_are_distinct():
    table = spectrum_table(made([0.5, -1.0, -np.inf], noise=0.01, unresolved=[1]))
    assert line(table, "3 ") == "3 -inf (dead)"
    assert line(table, "2 ").startswith("2 < -0.99924")
    assert line(table, "2 ").endswith("(not resolved)")
    assert line(table, "mean exponent") == "mean exponent -inf"
    assert line(table, "sum-rule") == "sum-rule residual does not apply"
    alone = spectrum_table(made([0.5, -1.0], trajectories=1, rows=2))
    assert line(alone, "1 ").endswith("unknown")


def test_measures_are_those_of_the_spectrum():
    spectrum = made([0.5, 0.2, -1.0, -2.0])
    table = spectrum_table(spectrum)
    for name, start in (("kaplan_yorke_dimension", "Kaplan-Yorke"), ("entropy_rate", "entropy")):
        found = spectrum.measures()[name]
        value, error = line(table, start).split()[-3::2]
        assert float(value) == pytest.approx(found.value, abs=0.06 * found.standard_error)
        assert float(error) == pytest.approx(found.standard_error, rel=0.06)
    spectrum = computed()
    table = spectrum_table(spectrum)
    assert line(table, "sum-rule").endswith(f" {spectrum.sum_rule_residual:.1e}")
    assert line(table, "steps") == "steps 320, after a transient of 20"
    assert line(table, "trajectories") == "trajectories 3"
    rejected, accepted = spectrum.rejections.sum(), spectrum.intervals.sum()
    assert line(table, "rejected").endswith(f" {rejected} of {rejected + accepted}")
    assert line(table, "network").endswith("gain 1.5, seed 1")
    assert line(table, "status") == f"status {spectrum.status.code}"
    assert " ".join(table.split()).endswith(spectrum.status.advice)


def test_summary_is_valid_json_with_a_status_for_each_none():
    spectrum = made([0.5, -1.0, -np.inf], unresolved=[1], state_size=5)
    found = json.loads(json.dumps(spectrum_summary(spectrum), allow_nan=False))
    assert [entry["status"] for entry in found["exponents"]] == ["resolved", "not resolved", "dead"]
    assert found["exponents"][2]["value"] is None
    assert found["exponents"][0]["value"] == spectrum.exponents[0]
    assert found["exponents"][0]["standard_error"] == spectrum.standard_error[0]
    nothing = dict.fromkeys(("value", "standard_error", "low", "high"))
    assert found["measures"]["mean"] == nothing | {"status": "dead"}
    assert found["measures"]["sum_rule_residual"] == nothing | {"status": "does not apply"}
    assert found["status"] == "unresolved tail"
    assert found["advice"].startswith("1 of 3 exponents is an upper bound")
    assert found["settings"]["seconds"] == 12.34
    spectrum = computed()
    found = json.loads(json.dumps(spectrum_summary(spectrum), allow_nan=False))
    assert [entry["value"] for entry in found["exponents"]] == spectrum.exponents.tolist()
    assert found["measures"]["mean"]["status"] == "computed"
    assert found["intervals"] == spectrum.intervals.tolist()
    assert found["settings"]["versions"] == spectrum.settings["versions"]


def test_measures_beyond_a_partial_spectrum():
    spectrum = made([0.5, 0.2], state_size=10)
    table, found = spectrum_table(spectrum), spectrum_summary(spectrum)["measures"]
    nothing = dict.fromkeys(("value", "standard_error", "low", "high")) | {"status": "not reached"}
    assert found["kaplan_yorke_dimension"] == found["entropy_rate"] == nothing
    assert line(table, "Kaplan-Yorke").endswith("not reached")
    assert line(table, "entropy").endswith("not reached")
