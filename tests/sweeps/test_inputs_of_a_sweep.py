"""Different inputs for each network, by path, function or mapping, and tasks for all networks."""

import numpy as np
import pytest

import lyapy
from tests.support.made_sweeps import NAMES, NETWORKS, OPTIONS, PATTERN, statuses, swept
from tests.support.made_weights import DRIVE

pytestmark = pytest.mark.usefixtures("eight_networks")

SINGLE = DRIVE[0]
OTHER = SINGLE[::-1] / 2


def alone(name, inputs):
    return lyapy.lyapunov_spectrum(lyapy.load(f"runs/{name}.npz"), inputs, **OPTIONS).exponents


@pytest.fixture
def two_files(tmp_path):
    for lr, inputs in (("0.1", SINGLE), ("1e-3", OTHER)):
        np.save(tmp_path / f"drive-{lr}.npy", inputs)


def no_encoder(path, network):
    raise RuntimeError("no encoder")


def check(found, inputs_of):
    for name in NAMES:
        np.testing.assert_array_equal(found[name].exponents, alone(name, inputs_of(name)))


def of_name(name):
    return SINGLE if name.startswith("lr0.1") else OTHER


def test_a_path_has_the_texts_of_the_pattern(two_files):
    """1e-3 is a number in the table, and a text in the path."""
    check(swept(inputs="drive-{lr}.npy", pattern=PATTERN), of_name)


def test_a_path_has_columns_of_the_metadata(two_files):
    files = {name: {"drive": name[2:].split("_")[0]} for name in NAMES}
    check(swept(inputs="drive-{drive}.npy", metadata=files), of_name)


def test_a_field_that_is_none_is_refused():
    words = r"inputs is 'drive-{task}.npy', but 'task' is none of lr, gain, epoch, name; "
    with pytest.raises(ValueError, match=words):
        swept(inputs="drive-{task}.npy", pattern=PATTERN)


def test_a_function_of_path_and_network():
    seen = []

    def drive(path, network):
        seen.append((path, network.state_size))
        return of_name(path.removeprefix("runs/"))

    check(swept(inputs=drive), of_name)
    assert {path for path, _ in seen} == {f"runs/{name}.npz" for name in NAMES}


def test_a_function_may_return_a_file(two_files):
    check(swept(inputs=lambda path, _: f"drive-{'0.1' if '0.1' in path else '1e-3'}.npy"), of_name)


def test_a_network_whose_function_raises_has_failed():
    def drive(path, network):
        if "epoch1" in path:
            raise KeyError("encoder")
        return SINGLE

    found = swept(inputs=drive)
    failed = {name for name, status in statuses(found).items() if status == "failed"}
    assert failed == {name for name in NAMES if name.endswith("epoch1")}
    assert "inputs: " in found[min(failed)].columns["advice"]
    with pytest.raises(ValueError, match=r"none of 8 networks can be computed: .*no encoder"):
        swept(inputs=no_encoder, checkpoint="other.h5")


def test_a_mapping_by_names():
    check(swept(inputs={name: of_name(name) for name in NAMES}), of_name)
    with pytest.raises(ValueError, match="has none for the network 'lr1e-3_g2/epoch1'"):
        swept(inputs={name: SINGLE for name in NAMES if name != "lr1e-3_g2/epoch1"})


def test_every_network_reads_every_task(two_files, tmp_path):
    """A table of the losses has a line for each network and task."""
    losses = [f"{epoch},{task},{epoch}{task[-1]}" for epoch in "01" for task in ("task1", "task2")]
    (tmp_path / "losses.csv").write_text("epoch,inputs,loss\n" + "\n".join(losses) + "\n")
    options = {"pattern": PATTERN, "metadata": "losses.csv"}
    found = swept(inputs={"task1": SINGLE, "task2": "drive-1e-3.npy"}, **options)
    assert len(found) == 2 * len(NAMES)
    for name in NAMES:
        for task, inputs in (("task1", SINGLE), ("task2", OTHER)):
            row = found[f"{name}/{task}"]
            np.testing.assert_array_equal(row.exponents, alone(name, inputs))
            assert row.metadata["inputs"] == task
            assert row.metadata["loss"] == int(name[-1] + task[-1])
    # the same again computes nothing
    again = swept(inputs={"task1": SINGLE, "task2": "drive-1e-3.npy"}, **options)
    np.testing.assert_array_equal(again.exponents, found.exponents)


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"../task": SINGLE}, r"'../task' cannot name a run file"),
        ({"/": SINGLE}, "cannot name a run file"),
        ({}, "has none for the network"),
        ({"a": SINGLE, "./a": SINGLE}, "would name two results; rename the task"),
    ],
)
def test_tasks_that_name_no_file(inputs, words):
    with pytest.raises(ValueError, match=words):
        swept(inputs=inputs)


def test_tasks_and_a_field_of_their_name():
    with pytest.raises(ValueError, match="'inputs' is the column of tasks; rename the field"):
        swept(inputs={"a": SINGLE}, pattern="{inputs}/epoch{epoch}")


def test_watching_takes_no_mapping():
    with pytest.raises(
        TypeError, match=r"inputs is a mapping.*; give a path with fields, or a fun"
    ):
        next(lyapy.watch(NETWORKS, {"a": SINGLE}))


def test_the_line_of_a_network_that_has_not_converged_says_why():
    outcomes = []
    swept(report=outcomes.append, inputs=SINGLE[:20], steps=20)
    for outcome in outcomes:
        assert ", not converged: " in outcome.message
        assert outcome.message.count("\n") == 0
    assert "steps" in outcomes[0].message
