"""Damaged parts of a run are rolled back or named; ``python -m tools.damage`` does many more."""

import numpy as np

from tools import damage


def test_no_damage_is_silent(tmp_path, monkeypatch):
    files, wanted = damage.unfinished_run(tmp_path, monkeypatch)
    assert len(files) > 4
    cut = list(damage.truncations(files, 512))
    some = [*damage.flips(files, 20, np.random.default_rng(1)), *cut[:: len(cut) // 20]]
    found = damage.count(some, files, wanted, tmp_path)
    assert found[damage.SILENT] == 0
    assert found[damage.SAME] and found[damage.REFUSED]
