"""No command, mistyped, repeated or interrupted, replaces results by fewer or by none."""

import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import lyapy
from lyapy.cli import main
from lyapy.errors import Interrupted
from lyapy.sweeps import task
from tests.support.made_checkpoints import checkpoint_every_chunk, interrupt_after
from tests.support.made_sweeps import NAMES, OPTIONS, WORDS, swept
from tests.support.made_weights import DRIVE, GRU

FEW = "runs/lr0.1_g1/*.npz"
SWEEP = ["sweep", FEW, "--workers", "1", "-o", "sweep.h5"]
RUN = ["--inputs", "drive.npy", "--backend", "numpy", "--steps", "30"]

pytestmark = pytest.mark.usefixtures("eight_networks")


def contents(folder):
    """Return the bytes of all files below a folder."""
    return {path: path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def broken(name):
    Path(f"runs/{name}.npz").write_bytes(b"PK\x03\x04 broken")


def has_all(networks=2):
    rows = lyapy.Sweep.load("sweep.h5").rows
    return len(rows) == networks and all(row.has_result for row in rows)


MISTAKES = {
    "inputs that do not exist": ({"inputs": "none.npy"}, "none.npy"),
    "inputs of another width": ({"inputs": DRIVE[..., :2]}, "reads 3 inputs"),
    "no inputs": ({"inputs": None}, "inputs are missing"),
    "another seed": ({"seed": 4}, "is another run, seed is 3 there, 4 here"),
    "more exponents than there are": ({"k": 6}, "k is 6"),
    "more steps than inputs": ({"steps": 500}, "too few"),
    "an unknown engine": ({"backend": "none"}, "backend is 'none'"),
    "other networks": ({"networks": "runs/lr0.1_g2/*0.npz"}, "would lose those of 1 network"),
    "networks that do not exist": ({"networks": {"x": "none.npz"}}, "would lose those of 2"),
    "fewer networks under overwrite": (
        {"networks": "runs/lr0.1_g1/epoch0.npz", "overwrite": True},
        "move the file away",
    ),
    "a mistake under overwrite": ({"inputs": "none.npy", "overwrite": True}, "none.npy"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_refused_and_changes_nothing(mistake):
    change, message = MISTAKES[mistake]
    swept(FEW)
    before = contents(".")
    with pytest.raises((ValueError, TypeError, OSError), match=message):
        swept(**{"networks": FEW} | change)
    assert contents(".") == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--inputs", "none.npy"], "none.npy"),
        (["--seed", "4"], "is another run, seed is 3 there, 4 here"),
        (["--transient", "5"], "is another run"),
    ],
)
def test_a_mistyped_command_is_refused_in_one_line(words, message, capsys):
    assert main([*SWEEP, *WORDS]) == 0
    before = contents(".")
    capsys.readouterr()
    assert main([*SWEEP, *WORDS, *words]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and message in lines[0]
    assert contents(".") == before


def test_other_settings_are_refused_before_new_networks_are_computed():
    paths, outcomes = {name: f"runs/{name}.npz" for name in NAMES}, []
    swept({NAMES[7]: paths[NAMES[7]]})
    options = OPTIONS | {"seed": 4}
    with pytest.raises(ValueError, match="another run"), ThreadPoolExecutor(1) as executor:
        lyapy.sweep(paths, DRIVE, report=outcomes.append, executor=executor, **options)
    assert outcomes == [] and has_all(1)


def test_weights_that_changed_are_refused_and_the_result_stays():
    swept(FEW)
    before = Path("sweep.h5").read_bytes()
    np.savez(f"runs/{NAMES[0]}.npz", **{name: 3 * array for name, array in GRU.items()})
    with pytest.raises(ValueError, match=r"epoch0: .*network_sha256.*its finished result stays"):
        swept(FEW)
    broken(NAMES[0])
    with pytest.raises(ValueError, match=r"epoch0: .*its finished result stays"):
        swept(FEW)
    assert Path("sweep.h5").read_bytes() == before
    assert not list(Path("sweep.h5.runs").glob("*.failed"))


def test_results_without_run_files_are_replaced_under_overwrite_only():
    swept(FEW)
    shutil.rmtree("sweep.h5.runs")
    before = contents(".")
    with pytest.raises(FileExistsError, match="lacks the run files of 2"):
        swept(FEW, seed=4)
    assert contents(".") == before
    assert swept(FEW, seed=4, overwrite=True).rows[0].has_result


def test_overwrite_does_not_replace_results_by_fewer():
    swept(FEW)
    before = Path("sweep.h5").read_bytes()
    broken(NAMES[0])
    with pytest.raises(FileExistsError, match=r"lose those of 1 network \(epoch0\).*move the"):
        swept(FEW, seed=4, overwrite=True)
    assert Path("sweep.h5").read_bytes() == before
    # the remedy
    os.rename("sweep.h5", "before.h5")
    assert [row.has_result for row in swept(FEW, seed=4, overwrite=True).rows] == [False, True]


def test_an_interrupted_overwrite_leaves_whole_files_and_goes_on(monkeypatch):
    swept(FEW)
    before, compute = contents("."), task.spectrum_of

    def stopped(one):
        if one.name == "epoch1":
            raise Interrupted("stop")
        return compute(one)

    with monkeypatch.context() as patch:
        patch.setattr(task, "spectrum_of", stopped)
        with pytest.raises(Interrupted):
            swept(FEW, seed=4, overwrite=True)
    changed = {path for path, data in contents(".").items() if before.get(path) != data}
    assert changed == {Path("sweep.h5.runs/epoch0.h5")}
    with pytest.raises(ValueError, match="is another run"):
        swept(FEW, seed=4)
    assert has_all(2) and lyapy.Sweep.load("sweep.h5").rows[0].columns["k"] == 5
    assert swept(FEW, seed=4, overwrite=True).rows[1].has_result


def test_two_sweeps_at_once_do_not_drop_results_of_each_other():
    paths = {name: f"runs/{name}.npz" for name in NAMES}

    def one(half):
        try:
            return swept({name: paths[name] for name in NAMES[half::2]})
        except FileExistsError as error:
            return str(error)

    with ThreadPoolExecutor(2) as sweeps:
        found = list(sweeps.map(one, range(2)))
    refused = [text for text in found if isinstance(text, str)]
    assert len(refused) == 1 and "would lose those of 4 networks" in refused[0]
    assert has_all(4)
    assert swept(paths).rows[7].has_result


def test_each_of_two_sweeps_with_other_settings_keeps_to_its_word():
    def one(seed):
        try:
            return swept(FEW, seed=seed)
        except (ValueError, OSError) as error:
            return str(error)

    with ThreadPoolExecutor(2) as sweeps:
        found = list(sweeps.map(one, (3, 4)))
    assert any(isinstance(text, str) for text in found)
    seeds = {
        lyapy.Spectrum.load(run).settings["seed"] for run in Path("sweep.h5.runs").glob("*.h5")
    }
    # where a merged file is there, one of them has won
    assert not Path("sweep.h5").exists() or (has_all() and len(seeds) == 1)


def test_shards_replace_the_results_of_all_under_overwrite():
    swept(FEW)
    for shard in ("1/2", "2/2"):
        swept(FEW, seed=4, shard=shard, overwrite=True)
    assert has_all()
    with pytest.raises(ValueError, match="is another run, seed is 4 there"):
        swept(FEW)


def test_results_stay_when_a_training_deletes_or_rewrites_its_weights():
    options = {"backend": "numpy", "steps": 30, "every": 0.1, "idle": 2.0}
    outcomes, folder = [], Path("runs/lr0.1_g1")
    with ThreadPoolExecutor(1) as executor:
        for number, _ in enumerate(
            lyapy.watch(folder, DRIVE, executor=executor, report=outcomes.append, **options)
        ):
            if number == 0:
                (folder / "epoch0.npz").unlink()
                shutil.copy("runs/lr0.1_g2/epoch0.npz", folder / "epoch1.npz")
                shutil.copy("runs/lr0.1_g2/epoch1.npz", folder / "epoch2.npz")
        assert has_all(3)
        failed = [outcome for outcome in outcomes if outcome.code != "computed"]
        assert [outcome.name for outcome in failed] == ["epoch1"]
        assert "epoch1.npz: was written again" in failed[0].message
        # another day
        (folder / "epoch1.npz").unlink()
        shutil.copy("runs/lr0.1_g2/epoch1.npz", folder / "epoch3.npz")
        list(lyapy.watch(folder, DRIVE, executor=executor, **options))
    assert has_all(4)


def test_a_merge_does_not_replace_a_run_file_nor_results_by_fewer(capsys):
    assert main(["spectrum", FEW, *RUN, "-o", "out"]) == 0
    assert main(["merge", "out", "-o", "all.h5"]) == 0
    before = contents(".")
    capsys.readouterr()
    assert main(["merge", "out", "-o", "out/epoch0.h5", "--overwrite"]) == 2
    assert "out/epoch0.h5: is read by this run; give another output" in capsys.readouterr().err
    assert main(["merge", "out/epoch1.h5", "-o", "all.h5", "--overwrite"]) == 2
    assert "would lose those of 1 network (epoch0)" in capsys.readouterr().err
    weights = "runs/lr0.1_g1/epoch0.npz"
    assert main(["merge", "out", "--expect", weights, "-o", weights, "--overwrite"]) == 2
    assert contents(".") == before


@pytest.mark.parametrize(
    "words",
    [
        ["spectrum", "gru.npz", *RUN, "-o", "gru.npz"],
        ["spectrum", "gru.npz", *RUN, "-o", "drive.npy"],
        ["spectrum", "gru.npz", *RUN, "-o", "link"],
        ["spectrum", "mine/a.h5", "mine/b.h5", *RUN, "-o", "mine/"],
        ["sweep", "gru.npz", *WORDS, "-o", "gru.npz"],
        ["sweep", "gru.npz", *WORDS, "-o", "drive.npy"],
        ["sweep", "gru.npz", *WORDS, "--metadata", "table.csv", "-o", "table.csv"],
        ["convert", "gru.npz", "-o", "gru.npz"],
        ["convert", "mine/a.h5", "-o", "mine/a.h5"],
        ["plot", "run.h5", "-o", "run.h5"],
        ["plot", "run.png"],
    ],
    ids=" ".join,
)
def test_an_output_that_the_run_reads_is_refused(words, capsys):
    os.mkdir("mine")
    for name in ("a", "b"):
        assert main(["convert", "gru.npz", "-o", f"mine/{name}.h5"]) == 0
    assert main(["spectrum", "gru.npz", *RUN, "-o", "run.h5"]) == 0
    shutil.copy("run.h5", "run.png")
    os.symlink("gru.npz", "link")
    Path("table.csv").write_text("name,loss\ngru,1\n")
    before = contents(".")
    assert main([*words, "--overwrite"]) == 2
    assert "is read by this run; give another output" in capsys.readouterr().err
    assert contents(".") == before


def test_a_checkpoint_at_the_weights_is_refused():
    network, before = lyapy.load("gru.npz"), Path("gru.npz").read_bytes()
    with pytest.raises(ValueError, match=r"gru\.npz: is read by this run"):
        lyapy.lyapunov_spectrum(network, DRIVE, checkpoint="gru.npz", overwrite=True)
    assert Path("gru.npz").read_bytes() == before


def test_a_failure_under_overwrite_keeps_the_run_file(capsys):
    words = ["spectrum", FEW, *RUN, "-o", "out"]
    assert main(words) == 0
    before = contents("out")
    assert main([*words, "--inputs", "none.npy", "--overwrite"]) == 1
    assert contents("out").items() >= before.items()
    assert main(words) == 0
    assert contents("out") == before


def test_show_mentions_an_unfinished_run_next_to_a_result(capsys, monkeypatch):
    network = lyapy.random_network("vanilla", 6, seed=1)
    options = {"steps": 2000, "backend": "numpy", "checkpoint": "run.h5"}
    lyapy.lyapunov_spectrum(network, **options)
    assert main(["show", "run.h5"]) == 0
    assert "unfinished" not in capsys.readouterr().out
    with monkeypatch.context() as patch:
        checkpoint_every_chunk(patch)
        interrupt_after(2, patch)
        with pytest.raises(Interrupted):
            lyapy.lyapunov_spectrum(network, **options, k=2, overwrite=True)
    assert main(["show", "run.h5"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("next to it: an unfinished run that is to replace it, ")
    assert main(["show", "run.h5", "--json"]) == 0
    assert "of 2000 steps" in json.loads(capsys.readouterr().out)["unfinished_run"]
