"""The run file: complete, described, whole or absent, replaced only on request."""

import errno
import os
from dataclasses import fields, replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from lyapy import Spectrum
from lyapy.spectra.exponents import QUANTITIES
from lyapy.spectra.file import STORED, write_spectrum
from lyapy.storage import sealed
from lyapy.storage.atomic import check_output, write_whole
from tests.support.made_spectra import computed, made

ODD_SETTINGS = {
    "nothing": None,
    "yes": True,
    "whole": -3,
    "large": 2**64 - 1,
    "real": 0.1,
    "text": "λ, and a\nnewline",
    "no_text": "",
    "list": ["a", "ä"],
    "no_list": [],
    "until": [0.001, 5000.0],
    "nested": {"deeper": {"x": 1}, "none": {}},
}


def assert_same(found, expected):
    for name in STORED:
        one, other = getattr(found, name), getattr(expected, name)
        np.testing.assert_array_equal(one, other, strict=True)
    assert found.settings == expected.settings


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.h5"


def test_every_field_is_stored():
    assert {field.name for field in fields(Spectrum)} == {*STORED, "settings"}


def test_save_and_load_lose_nothing(path):
    spectrum = computed()
    spectrum.save(path)
    found = Spectrum.load(path)
    assert_same(found, spectrum)
    np.testing.assert_array_equal(found.exponents, spectrum.exponents)
    np.testing.assert_array_equal(found.standard_error, spectrum.standard_error)


def test_dead_directions_and_nan_are_kept(path):
    spectrum = made([0.1, -1.0, -np.inf], trajectories=1, rows=2)
    write_spectrum(spectrum, path)
    found = Spectrum.load(path)
    assert_same(found, spectrum)
    assert np.isneginf(found.exponents[2])
    assert np.isnan(found.standard_error).all()


def test_settings_keep_types(path):
    write_spectrum(replace(computed(), settings=computed().settings | ODD_SETTINGS), path)
    found = Spectrum.load(path).settings
    for name, value in ODD_SETTINGS.items():
        assert found[name] == value
        assert type(found[name]) is type(value)


def test_a_number_beyond_64_bits_is_kept_as_text(path):
    write_spectrum(replace(computed(), settings=computed().settings | {"seed": 2**80}), path)
    assert Spectrum.load(path).settings["seed"] == str(2**80)


def test_a_command_that_is_not_utf8_is_written_legibly(path):
    settings = computed().settings | {"command": "lyapy caf\udce9"}
    write_spectrum(replace(computed(), settings=settings), path)
    assert Spectrum.load(path).settings["command"] == r"lyapy caf\udce9"


def test_layout_explains_itself(path):
    spectrum = computed()
    write_spectrum(spectrum, path)
    with h5py.File(path) as file:
        assert file.attrs["format"] == "lyapy spectrum"
        assert file.attrs["format_version"] == 4
        assert (file.attrs["status"], file.attrs["advice"]) == spectrum.status
        for name, quantity in QUANTITIES.items():
            assert file[name].attrs["units"] == quantity.units.format(time="step")
            assert file[name].attrs["description"] == quantity.text
            assert tuple(axis[0].name[1:] for axis in file[name].dims) == quantity.axes
            if hasattr(spectrum, name):
                np.testing.assert_array_equal(file[name], getattr(spectrum, name))
        for name, measure in spectrum.measures().items():
            if f"{name}_error" in file:
                np.testing.assert_equal(file[f"{name}_error"][()], measure.standard_error)
        assert file["largest_error"][()] == spectrum.standard_error[0]
        assert file["settings"].attrs["network_sha256"] == spectrum.settings["network_sha256"]
        assert "numpy" in file["settings/versions"].attrs


def test_only_long_histories_are_compressed(path):
    write_spectrum(made(np.linspace(0, -1, 40), rows=40), path)
    with h5py.File(path) as file:
        assert (file["growth"].compression, file["growth"].shuffle) == ("gzip", True)
        assert file["exponents"].compression is None


def test_an_existing_file_is_refused_and_kept(path):
    path.write_bytes(b"precious")
    with pytest.raises(FileExistsError, match=r"run\.h5: exists; .*--overwrite"):
        write_spectrum(computed(), path)
    assert path.read_bytes() == b"precious"
    write_spectrum(computed(), path, overwrite=True)
    assert_same(Spectrum.load(path), computed())
    assert os.listdir(path.parent) == ["run.h5"]


def test_a_file_that_appears_meanwhile_is_not_replaced(path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: path.write_bytes(b"of another process"))
    with pytest.raises(FileExistsError, match=r"run\.h5: exists"):
        write_whole(path, b"mine", overwrite=False)
    assert path.read_bytes() == b"of another process"
    assert os.listdir(path.parent) == ["run.h5"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_full_disk_leaves_the_old_file(path, monkeypatch, overwrite):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    if overwrite:
        path.write_bytes(b"old")
    before = os.listdir(path.parent)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"run\.h5: could not be written \(No space left"):
        write_whole(path, b"new", overwrite=overwrite)
    assert os.listdir(path.parent) == before
    assert not overwrite or path.read_bytes() == b"old"


def test_a_file_system_without_hard_links_will_do(path, monkeypatch):
    def refused(source, target):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    write_whole(path, b"new", overwrite=False)
    assert path.read_bytes() == b"new"
    assert os.listdir(path.parent) == ["run.h5"]


def test_a_symbolic_link_is_followed(path, tmp_path):
    link = tmp_path / "link.h5"
    link.symlink_to(path)
    write_whole(link, b"new", overwrite=False)
    assert link.is_symlink()
    assert path.read_bytes() == b"new"


def test_the_mode_follows_the_umask(path):
    old = os.umask(0o027)
    try:
        write_whole(path, b"new", overwrite=False)
    finally:
        os.umask(old)
    assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("missing/run.h5", "the folder .*missing does not exist; create it"),
        (".", "is a folder; give the name of a file in it"),
        ("file/run.h5", r"the folder .*file cannot be written \(Not a directory\)"),
        ("/proc/self/run.h5", "the folder .* cannot be written .*; choose another folder"),
        ("/dev/null", "is not a regular file; give another name"),
    ],
)
def test_an_impossible_output_is_refused_before(tmp_path, monkeypatch, output, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=words):
        check_output(output, overwrite=True)
    assert os.listdir(tmp_path) == ["file"]


def damage(path, change):
    write_spectrum(computed(), path)
    with h5py.File(path, "r+") as file:
        change(file)


def drop_growth(file):
    del file["growth"]


def cut_state(file):
    del file["final_state"]
    file["final_state"] = np.zeros((1, 12))


def flatten_frame(file):
    del file["final_frame"]
    file["final_frame"] = np.zeros(12)


def cut_terms(file):
    terms = file["determinants"][..., :2]
    del file["determinants"]
    file["determinants"] = terms


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda file: file.attrs.__setitem__("format_version", 5), "version 5.*newer lyapy"),
        (lambda file: file.attrs.__setitem__("format_version", 3), "version 3.*compute it again"),
        (lambda file: file.attrs.__setitem__("format", "other"), "without format='lyapy spectrum'"),
        (lambda file: file.attrs.__delitem__("format_version"), "has format version None"),
        (drop_growth, "the dataset growth is missing"),
        (cut_state, "axis trajectory has 1 entries in final_state, 3 in growth"),
        (flatten_frame, "final_frame has shape"),
        (cut_terms, "axis term has 2 entries instead of 3"),
    ],
)
def test_a_damaged_file_is_refused(path, change, words):
    damage(path, change)
    with pytest.raises(ValueError, match=rf"run\.h5: .*{words}"):
        Spectrum.load(path, check=False)
    with pytest.raises(ValueError, match=r"run\.h5: is truncated or has flipped bits"):
        Spectrum.load(path)


@pytest.mark.parametrize("content", [b"", b"no spectrum at all", b"\x89HDF\r\n\x1a\n" + bytes(99)])
def test_another_file_is_refused(path, content):
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"run\.h5: .*(has no seal|HDF5 file); give a file that"):
        Spectrum.load(path)
    with pytest.raises(ValueError, match=r"run\.h5: (is not an HDF5 file|is damaged|is trunc)"):
        Spectrum.load(path, check=False)


def test_no_flipped_bit_and_no_truncation_is_silent(path):
    write_spectrum(computed(), path)
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    bits = [*range(0, 4096, 61), *rng.integers(8 * len(content), size=300)]
    for bit in bits:
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"run\.h5: is truncated"):
            Spectrum.load(path)
    for length in range(512, len(content), 512):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match=r"run\.h5: is truncated"):
            Spectrum.load(path)
    for start in range(0, len(content), 4096):
        path.write_bytes(content[:start] + bytes(512) + content[start + 512 :])
        if path.read_bytes() != content:
            with pytest.raises(ValueError, match=r"run\.h5: is truncated"):
                Spectrum.load(path)


def test_a_seal_of_the_whole_file_alone_is_read(path):
    """Files of earlier versions have no digests of blocks."""
    write_spectrum(computed(), path)
    content = path.read_bytes()
    line = content.partition(b" blocks ")[0] + b"\n"
    length = int(line.split()[-1])
    path.write_bytes(line.ljust(512, b"\0") + content[512 : 512 + length])
    assert_same(Spectrum.load(path), computed())
    flipped = bytearray(path.read_bytes())
    flipped[-1] ^= 1
    path.write_bytes(flipped)
    with pytest.raises(ValueError, match=r"run\.h5: is truncated"):
        Spectrum.load(path)


def test_of_a_large_file_the_blocks_that_are_read_are_checked(path, monkeypatch):
    monkeypatch.setattr(sealed, "BLOCK", 4096)
    write_spectrum(computed(), path)
    with h5py.File(path) as file:
        place = file["exponents"].id.get_chunk_info(0).byte_offset
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    with sealed.open_sealed(path) as run:
        run["growth"].read()
        with pytest.raises(ValueError, match=r"run\.h5: is truncated or has flipped bits"):
            run["exponents"].read()


@pytest.mark.parametrize(
    ("name", "value"),
    [("k", -1), ("k", 10**18), ("k", "12"), ("tolerance", 0.0), ("tolerance", "x"), ("dt", -1.0),
     ("network", 3), ("assumptions", "x"), ("interval", 0.5), ("input_sequences", True)],
)  # fmt: skip
def test_impossible_settings_are_damage(path, name, value):
    damage(path, lambda file: file["settings"].attrs.__setitem__(name, value))
    with pytest.raises(ValueError, match=rf"run\.h5: is damaged: .*\b({name}|exponent)\b"):
        Spectrum.load(path, check=False)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("state_size", -1, "axis state has 12 entries instead of -1"),
        ("state_size", 10**18, "axis state has 12 entries instead of 1000000000000000000"),
        ("state_size", 12.0, "state_size has shape"),
        ("transient", -1, "count no steps"),
        ("growth_steps", [64, 128, 100, 256, 320], "count no steps"),
        ("growth", [["a"]], "growth has shape"),
    ],
)
def test_impossible_values_are_damage(path, name, value, words):
    def change(file):
        del file[name]
        file[name] = value

    damage(path, change)
    with pytest.raises(ValueError, match=rf"run\.h5: is damaged: .*{words}"):
        Spectrum.load(path, check=False)


def test_other_files_are_not_opened(path, monkeypatch):
    monkeypatch.chdir(path.parent)
    os.mkfifo("other.h5")

    def external(file):
        del file["growth"]
        file.create_dataset("growth", (3, 5, 12), "f8", external=[("other.h5", 0, 1440)])

    damage(path, external)
    with pytest.raises(ValueError, match=r"run\.h5: keeps 'growth' in another file"):
        Spectrum.load(path, check=False)


def test_a_pipe_is_refused(path):
    os.mkfifo(path)
    with pytest.raises(ValueError, match=r"run\.h5: is not a regular file"):
        Spectrum.load(path)


def test_a_missing_file_is_the_systems_error(path):
    with pytest.raises(FileNotFoundError):
        Spectrum.load(path)


def table(rows):
    """Return a table of datasets for docs/file_formats.md."""
    lines = ["| dataset | axes | units | meaning |", "|---|---|---|---|"]
    for name, (axes, units, text) in rows:
        cells = [f"`{name}`", ", ".join(axes), units.format(time="step"), text]
        lines.append(f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("is_stored", [True, False])
def test_the_docs_describe_every_dataset(is_stored):
    docs = (Path(__file__).parents[2] / "docs/file_formats.md").read_text(encoding="utf-8")
    rows = [(name, q[:3]) for name, q in QUANTITIES.items() if q.stored == is_stored]
    assert table(rows) in docs


def test_fields_are_described_in_the_docstring():
    for name, quantity in STORED.items():
        assert f"    {name} : " in Spectrum.__doc__
        assert quantity.text[:60] in Spectrum.__doc__
