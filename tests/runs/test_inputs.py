"""Inputs from files, and the errors for those that do not fit."""

import h5py
import numpy as np
import pytest
from safetensors.numpy import save_file

import lyapy
from lyapy.networks.inputs import check_array
from lyapy.runs.inputs import read_inputs, read_vocabulary

M = 3
NETWORK = lyapy.random_network("vanilla", 4, M)
DRIVE = np.arange(30, dtype=np.float32).reshape(2, 5, M)
EMBEDDING = np.arange(12.0).reshape(4, M)


def write_npy(path, array=DRIVE):
    np.save(path, array)
    return path


def write_npz(path, **arrays):
    np.savez(path, **(arrays or {"drive": DRIVE}))
    return path


def write_h5(path, **arrays):
    with h5py.File(path, "w") as file:
        for name, array in (arrays or {"group/drive": DRIVE}).items():
            file[name.replace("__", "/")] = array
    return path


def write_text(path, text):
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("write", "name"),
    [(write_npy, "x.npy"), (write_npz, "x.npz"), (write_h5, "x.h5"), (write_h5, "x.HDF5")],
)
@pytest.mark.parametrize("several", [True, False])
def test_arrays_are_read_in_float64(tmp_path, write, name, several):
    wanted = DRIVE if several else DRIVE[0]
    path = tmp_path / name
    write(path, wanted) if write is write_npy else write(path, drive=wanted)
    found = read_inputs(path, NETWORK)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(("write", "name"), [(write_npz, "b"), (write_h5, "/group/b")])
def test_one_of_several_arrays_is_named(tmp_path, write, name):
    file = "x.npz" if write is write_npz else "x.h5"
    arrays = {"a": -DRIVE, name.strip("/").replace("/", "__"): DRIVE}
    path = write(tmp_path / file, **arrays)
    np.testing.assert_array_equal(read_inputs(f"{path}:{name}", NETWORK), DRIVE)
    with pytest.raises(ValueError, match=rf"{file}: holds 2 arrays: a, .*; name one as .*:NAME"):
        read_inputs(path, NETWORK)
    with pytest.raises(ValueError, match=rf"{file}: holds no array 'c'; give one of: a, "):
        read_inputs(f"{path}:c", NETWORK)


def test_a_file_whose_name_has_a_colon_is_read(tmp_path):
    path = write_npz(tmp_path / "x.npz:y.npz")
    np.testing.assert_array_equal(read_inputs(path, NETWORK), DRIVE)


@pytest.mark.parametrize(
    ("array", "error", "words"),
    [
        (np.arange(5), ValueError, r"has 1 dimensions.*indices, give \(T, 3\): embedding.weight\["),
        (np.zeros((5, 4)), ValueError, r"has shape \(5, 4\), but the network reads 3 inputs"),
        (np.zeros((5, M), complex), TypeError, "dtype complex128; it must be real numbers"),
        (np.array([[0, 1, 2], [0, np.nan, np.inf]]), ValueError, "2 values .* first at step 1"),
    ],
)
def test_an_array_that_does_not_fit_is_refused(tmp_path, array, error, words):
    path = write_npy(tmp_path / "x.npy", array)
    with pytest.raises(error, match=rf"x\.npy: .*{words}"):
        read_inputs(path, NETWORK)


def _npy(path):
    write_npy(path, np.array([[{}]], dtype=object))


def _npz(path):
    np.savez(path, np.array([[{}]], dtype=object))


def _lying(path):
    write_npy(path, np.zeros((7, M)))
    path.write_bytes(path.read_bytes().replace(b"(7, 3)", b"(7000000000000, 3)"))


@pytest.mark.parametrize(
    ("suffix", "write"),
    [
        (".npy", _npy),
        (".npz", _npz),
        (".npy", _lying),
        *((s, lambda path: path.write_bytes(b"")) for s in (".npy", ".npz", ".h5")),
        *((s, lambda path: path.write_bytes(b"plain words")) for s in (".npy", ".npz", ".h5")),
    ],
)
def test_broken_files_and_pickles_are_refused(tmp_path, suffix, write):
    path = tmp_path / f"x{suffix}"
    write(path)
    with pytest.raises(ValueError, match=rf"x\{suffix}: cannot be read as {suffix} \(.*\); write"):
        read_inputs(path, NETWORK)


def test_an_archive_without_arrays_is_refused(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_group("empty")
    with pytest.raises(ValueError, match=r"x\.h5: holds 0 arrays; write one"):
        read_inputs(tmp_path / "x.h5", NETWORK)


def test_an_unknown_suffix_and_needless_inputs_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"x\.csv: unsupported type of .* give one of .*npy"):
        read_inputs(tmp_path / "x.csv", NETWORK)
    with pytest.raises(ValueError, match=r"x\.npy: the network reads no inputs; leave them out"):
        read_inputs(tmp_path / "x.npy", lyapy.random_network("vanilla", 4))


def test_a_missing_file_raises_the_error_of_the_system(tmp_path):
    for name in ("x.npy", "x.npz", "x.h5", "x.h5:drive"):
        with pytest.raises(FileNotFoundError):
            read_inputs(tmp_path / name, NETWORK)


def test_text_is_one_hot_or_embedded(tmp_path):
    path = write_text(tmp_path / "x.txt", "cab\n")
    np.testing.assert_array_equal(
        read_inputs(path, lyapy.random_network("vanilla", 4, 4), "abc\n"),
        [[0, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]],
    )
    found = read_inputs(path, NETWORK, "abc\n", EMBEDDING)
    np.testing.assert_array_equal(found, EMBEDDING[[2, 0, 1, 3]])


def test_line_ends_follow_the_vocabulary(tmp_path):
    path = tmp_path / "x.txt"
    path.write_bytes(b"a\r\n")
    assert read_inputs(path, NETWORK, "ab\n", np.eye(3)).shape == (2, 3)
    assert read_inputs(path, NETWORK, "a\r\n", np.eye(3)).shape == (3, 3)


@pytest.mark.parametrize(
    ("text", "vocabulary", "embedding", "words"),
    [
        ("abc", None, None, "no vocabulary is known; give --vocabulary FILE"),
        ("aXbÉX", "abc", None, "2 characters that are missing in .* of 3: 'X', 'É', .* 1;"),
        ("", "abc", None, "is empty"),
        ("abc", "abcd", None, "4 characters, but the network reads 3 inputs, .* no embedding;"),
        ("abc", "abcde", EMBEDDING, r"hold an embedding \(4, 3\)"),
    ],
)
def test_text_that_does_not_fit_is_refused(tmp_path, text, vocabulary, embedding, words):
    path = write_text(tmp_path / "x.txt", text)
    with pytest.raises(ValueError, match=rf"x\.txt: .*{words}"):
        read_inputs(path, NETWORK, vocabulary, embedding)


def test_text_that_is_not_utf8_is_refused(tmp_path):
    (tmp_path / "x.txt").write_bytes(b"ab\xff")
    with pytest.raises(ValueError, match=r"x\.txt: is not UTF-8 text \(.* at byte 2\)"):
        read_inputs(tmp_path / "x.txt", NETWORK, "abc")


def test_every_character_of_a_vocabulary_counts(tmp_path):
    assert read_vocabulary(write_text(tmp_path / "v.txt", "b\na\n"[:3])) == "b\na"
    (tmp_path / "v.txt").write_bytes(b"a\r\n")
    assert read_vocabulary(tmp_path / "v.txt") == "a\r\n"
    with pytest.raises(ValueError, match=r"v\.txt: has the character '\\n' twice"):
        read_vocabulary(write_text(tmp_path / "v.txt", "\na\n"))
    with pytest.raises(ValueError, match=r"v\.txt: is empty"):
        read_vocabulary(write_text(tmp_path / "v.txt", ""))


RECURRENT = {"weight_ih_l0": np.ones((4, M)), "weight_hh_l0": np.ones((4, 4))}


def write_weights(path, vocabulary=None, **others):
    metadata = None if vocabulary is None else {"vocabulary": vocabulary}
    save_file(RECURRENT | others, path, metadata=metadata)
    return path


def network_of(path, vocabulary=None, **others):
    return lyapy.load(write_weights(path, vocabulary, **others), nonlinearity="tanh")


def test_text_is_encoded_by_the_weights_file(tmp_path):
    path = write_text(tmp_path / "x.txt", "cab\n")
    weights = tmp_path / "w.safetensors"
    network = network_of(weights, "\nabc", **{"net.embedding.weight": EMBEDDING})
    np.testing.assert_array_equal(read_inputs(path, network), EMBEDDING[[3, 1, 2, 0]])
    np.testing.assert_array_equal(read_inputs(path, network, "bca\n"), EMBEDDING[[1, 2, 0, 3]])
    with pytest.raises(ValueError, match=r"x\.txt: is text, and no vocabulary is known"):
        read_inputs(path, network_of(weights))


@pytest.mark.parametrize("name", ["encoder.weight", "wte.weight", "tok_embeddings", "emb/E"])
@pytest.mark.parametrize("shape", [(5,), (2, 4)])
def test_token_ids_go_through_the_embedding(tmp_path, name, shape):
    others = {name: EMBEDDING, "decoder.weight": np.ones((7, M))}
    network = network_of(tmp_path / "w.safetensors", **others)
    ids = np.arange(np.prod(shape)).reshape(shape) % 4
    for _ in range(2):
        found = read_inputs(write_npy(tmp_path / "x.npy", ids), network)
        np.testing.assert_array_equal(found, EMBEDDING[ids])
    assert network.assumptions.count(f"token ids are rows of {name} (4, 3)") == 1


@pytest.mark.parametrize("shape", [(50,), (2, 25)])
def test_a_run_takes_token_ids(shape):
    weights = RECURRENT | {"embedding.weight": EMBEDDING}
    network = lyapy.load(weights, nonlinearity="tanh")
    ids = np.random.default_rng(0).integers(4, size=shape)
    wanted = lyapy.lyapunov_spectrum(network, EMBEDDING[ids])
    found = lyapy.lyapunov_spectrum(network, ids)
    np.testing.assert_array_equal(found.exponents, wanted.exponents)
    assert found.settings["assumptions"][-1] == "token ids are rows of embedding.weight (4, 3)"
    loop = lyapy.ClosedLoop(network, np.ones((M, 4)))
    np.testing.assert_array_equal(loop.warm_up(ids), loop.warm_up(EMBEDDING[ids]))


def test_one_of_several_embeddings_is_chosen():
    weights = RECURRENT | {"in_emb": EMBEDDING, "out_emb": -EMBEDDING, "table": 2 * EMBEDDING}
    ids = np.array([0, 3, 1])
    words = r"may be in_emb \(4, 3\) or out_emb \(4, 3\); pick one by embedding="
    with pytest.raises(ValueError, match=words):
        lyapy.lyapunov_spectrum(lyapy.load(weights, nonlinearity="tanh"), ids)
    for name, rows in (("out_emb", -EMBEDDING), ("table", 2 * EMBEDDING)):
        network = lyapy.load(weights, nonlinearity="tanh", embedding=name)
        np.testing.assert_array_equal(check_array("inputs", ids, network), rows[ids])
    with pytest.raises(lyapy.WeightsError, match=r"name 'other'.*may be in_emb \(4, 3\), out_e"):
        lyapy.load(weights, nonlinearity="tanh", embedding="other")


def test_a_tied_embedding_is_one(tmp_path):
    others = {"encoder.weight": EMBEDDING, "token_decoder.weight": EMBEDDING.copy()}
    network = network_of(tmp_path / "w.safetensors", **others)
    ids = write_npy(tmp_path / "x.npy", np.array([3, 0]))
    np.testing.assert_array_equal(read_inputs(ids, network), EMBEDDING[[3, 0]])


@pytest.mark.parametrize(
    ("array", "others", "words"),
    [
        (np.array([0, 4]), {}, r"has token ids from 0 to 4, but emb.weight has the rows 0 to 3"),
        (np.array([-1, 1]), {}, "has token ids from -1 to 1"),
        (np.zeros((5, M), int), {}, r"token ids of emb.weight or inputs of width 3; give ids as"),
        (
            np.zeros((5, 8)),
            {"proj.weight": np.ones((M, 8))},
            r"proj.weight \(3, 8\) in the weights",
        ),
        (
            np.zeros((5, 8)),
            {"kernel": np.ones((8, M))},
            r"kernel \(8, 3\) .* then reads its output",
        ),
        (
            np.zeros((5, 4)),
            {"enc": np.ones((M, 4))},
            r"emb.weight \(4, 3\) or enc \(3, 4\) in the w",
        ),
        (np.zeros((5, 9)), {}, r"reads 3 inputs; give an array \(T, 3\) or \(B, T, 3\)$"),
    ],
)
def test_layers_in_front_of_the_network_are_named(tmp_path, array, others, words):
    network = network_of(tmp_path / "w.safetensors", **{"emb.weight": EMBEDDING, **others})
    with pytest.raises(ValueError, match=rf"x\.npy: .*{words}"):
        read_inputs(write_npy(tmp_path / "x.npy", array), network)


def test_whole_numbers_without_an_embedding_are_inputs(tmp_path):
    network = network_of(tmp_path / "w.safetensors")
    path = write_npy(tmp_path / "x.npy", np.eye(M, dtype=int))
    np.testing.assert_array_equal(read_inputs(path, network), np.eye(M))


def test_tensors_that_require_a_gradient_are_inputs_and_weights():
    torch = pytest.importorskip("torch")
    layer = torch.nn.Linear(4, M).double()
    x = torch.nn.Embedding(9, M)(torch.arange(9))
    np.testing.assert_array_equal(check_array("inputs", x, NETWORK), x.detach().numpy())
    loop = lyapy.ClosedLoop(NETWORK, layer.weight, layer.bias)
    wanted = lyapy.ClosedLoop(NETWORK, layer.weight.detach().numpy(), layer.bias.detach().numpy())
    assert loop.digest() == wanted.digest()
