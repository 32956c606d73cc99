"""The compiled matrix products and their reorthonormalization, against NumPy."""

import os
import subprocess
import sys

import numpy as np
import pytest
from numba import njit

import lyapy
from lyapy import lyapunov_spectrum
from lyapy.tangent import compiled
from lyapy.tangent.compiled import qr
from lyapy.tangent.compiled.jit import borrowed
from lyapy.tangent.compiled.products import (
    SCRATCH,
    address,
    aligned,
    cross,
    multiply,
    pack,
    row_stride,
    subtract,
)

RNG = np.random.default_rng(0)


@njit(error_model="numpy")
def run_multiply(a, b, inner, columns, out, at, spare, add, scale, left, other, scratch):
    by = (
        address(scale, 0) if len(scale) else 0,
        address(left, 0) if len(left) else 0,
        address(other, 0) if len(other) else 0,
    )
    target, factors, near = address(out, at), address(b, 0), address(scratch, 0)
    row, rows, stride = a.shape[1], len(a), out.shape[1]
    # spelled out, as Numba splices no call with stars
    one, (scale_at, left_at, other_at) = address(a, 0), by
    multiply(
        one, row, rows, factors, inner, columns, target, stride, spare, add,
        scale_at, left_at, other_at, columns, near,
    )  # fmt: skip


@njit(error_model="numpy")
def run_cross(a, b, inner, out):
    one, other, target = address(a, 0), address(b, 0), address(out, 0)
    cross(one, a.shape[1], len(a), other, b.shape[1], len(b), inner, target, out.shape[1])


@njit(error_model="numpy")
def run_subtract(a, b, out, columns):
    one, other, target, inner = address(a, 0), address(b, 0), address(out, 0), a.shape[1]
    subtract(one, inner, len(a), inner, other, b.shape[1], columns, target, out.shape[1])


@njit(error_model="numpy")
def run_orthonormalize(frame, rows, columns, workspace, log_r, duals, limit, by_blas):
    qr.orthonormalize(frame, rows, columns, workspace, log_r, duals, limit, by_blas)


def make_frame(start):
    rows, columns = start.shape
    stride = row_stride(columns)
    frame = aligned(rows * stride).reshape(rows, stride)
    frame[:, :columns] = start
    return frame


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5, 6, 7, 8, 9, 21])
@pytest.mark.parametrize(("inner", "columns"), [(1, 1), (7, 13), (8, 8), (16, 24), (33, 20)])
@pytest.mark.parametrize("add", [0, 1])
@pytest.mark.parametrize("parts", ["", "scale", "other", "left other", "scale left other"])
def test_product_with_all_that_is_added(rows, inner, columns, add, parts):
    a, b = RNG.normal(size=(rows, inner)), RNG.normal(size=(inner, columns))
    # other blocks lie before and behind the target, and must stay as they are
    out = RNG.normal(size=(rows, columns + 9))
    given = {"scale": RNG.normal(size=columns), "left": RNG.normal(size=columns)}
    given["other"] = RNG.normal(size=(rows, columns))
    empty = {"scale": np.zeros(0), "left": np.zeros(0), "other": np.zeros((0, 0))}
    scale, left, other = (
        (given if name in parts.split() else empty)[name] for name in ("scale", "left", "other")
    )
    wanted = out.copy()
    product = a @ b * (scale if len(scale) else 1.0)
    if len(other):
        product += (left if len(left) else 1.0) * other
    wanted[:, 3 : 3 + columns] = product + add * out[:, 3 : 3 + columns]
    run_multiply(a, pack(b), inner, columns, out, 3, 0, add, scale, left, other, np.zeros(SCRATCH))
    np.testing.assert_allclose(out, wanted, rtol=1e-13, atol=1e-13)
    # or nothing lies behind it
    out = np.pad(out[:, :3], ((0, 0), (0, columns + 16)))
    out[:, 3 : 3 + columns] = (wanted[:, 3 : 3 + columns] - product) * add
    run_multiply(a, pack(b), inner, columns, out, 3, 16, add, scale, left, other, np.zeros(SCRATCH))
    wanted = wanted[:, : 3 + columns]
    np.testing.assert_allclose(out[:, : 3 + columns], wanted, rtol=1e-13, atol=1e-13)


def test_a_row_does_not_depend_on_its_neighbours():
    a, b = RNG.normal(size=(17, 40)), pack(RNG.normal(size=(40, 19)))
    none, scratch = np.zeros(0), np.zeros(SCRATCH)
    together = np.zeros((17, 19))
    run_multiply(a, b, 40, 19, together, 0, 0, 0, none, none, np.zeros((0, 0)), scratch)
    for start, stop in ((0, 1), (1, 6), (6, 17)):
        part, out = a[start:stop].copy(), np.zeros((stop - start, 19))
        run_multiply(part, b, 40, 19, out, 0, 0, 0, none, none, np.zeros((0, 0)), scratch)
        np.testing.assert_array_equal(out, together[start:stop])


def test_borrowed_arrays_are_the_callers():
    @njit(error_model="numpy")
    def swap(pair, number):
        (one, (other,)), number = borrowed(pair), borrowed(number)
        for i in range(len(one)):
            row = one[i]
            for j in range(len(row)):
                row[j], other[i, j] = other[i, j], number * row[j]

    one, other = np.ones((3, 4)), np.arange(12.0).reshape(3, 4)
    counts = [sys.getrefcount(array) for array in (one, other)]
    swap((one, (other,)), 2.0)
    np.testing.assert_array_equal(one.ravel(), np.arange(12.0))
    np.testing.assert_array_equal(other, 2.0)
    assert [sys.getrefcount(array) for array in (one, other)] == counts


@pytest.mark.parametrize("shape", [(1, 1), (4, 2), (5, 3), (9, 8)])
@pytest.mark.parametrize("inner", [1, 4, 15, 64])
def test_inner_products_agree_with_numpy(shape, inner):
    a, b = (RNG.normal(size=(n, inner + 5)) for n in shape)
    out = np.zeros(shape)
    run_cross(a, b, inner, out)
    np.testing.assert_allclose(out, a[:, :inner] @ b[:, :inner].T, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("rows", [1, 3, 8, 9, 21])
@pytest.mark.parametrize(("inner", "columns"), [(1, 1), (8, 20), (16, 33)])
def test_a_product_that_is_taken_away(rows, inner, columns):
    a, b = RNG.normal(size=(rows, inner)), RNG.normal(size=(inner, columns + 15))
    out = RNG.normal(size=(rows, columns + 15))
    wanted = out[:, :columns] - a @ b[:, :columns]
    run_subtract(a, b, out, columns)
    np.testing.assert_allclose(out[:, :columns], wanted, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("by_blas", [False, True])
@pytest.mark.parametrize("limit", [0.0, 9.0])
@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (7, 9), (40, 41), (300, 310)])
def test_orthonormalization_agrees_with_householders(rows, columns, limit, by_blas):
    start = RNG.normal(size=(rows, columns))
    frame = make_frame(start)
    wanted = np.linalg.qr(frame[:, :columns].T)[1].diagonal()
    log_r, vector = np.zeros(rows), RNG.normal(size=rows)
    duals = vector.copy()
    run_orthonormalize(frame, rows, columns, qr.workspace(rows), log_r, duals, limit, by_blas)
    upper = frame[:, :columns] @ start.T
    np.testing.assert_allclose(upper.T @ duals, vector, atol=1e-9)
    np.testing.assert_allclose(log_r, np.log(np.abs(wanted)), atol=1e-11)
    rows_found = frame[:, :columns]
    np.testing.assert_allclose(rows_found @ rows_found.T, np.eye(rows), atol=1e-10)


def test_a_unit_vector_that_is_not_spent_stands_for_a_vanished_row():
    """The first that is tried is the row above."""
    start = np.eye(9)[[1, 0, 2, 3]]
    start[1] = 0.0
    frame, log_r = make_frame(start), np.zeros(4)
    run_orthonormalize(frame, 4, 9, qr.workspace(4), log_r, np.zeros(4), 9.0, False)
    assert np.isneginf(log_r[1])
    np.testing.assert_allclose(frame[:2, :9] @ frame[:2, :9].T, np.eye(2), atol=1e-14)


@pytest.mark.parametrize("limit", [2.0, 9.0])
@pytest.mark.parametrize("spread", [1.0, 2.0, 4.0, 8.0, 16.0])
def test_a_steep_block_loses_no_more_than_the_limit_admits(spread, limit):
    columns = 40
    Q = np.linalg.qr(RNG.normal(size=(columns, 8)))[0]
    scales = np.exp(-spread / 7.0 * np.arange(8))
    R = (0.3 * np.triu(RNG.normal(size=(8, 8)), 1) + np.eye(8)) * scales[:, None]
    frame, log_r = make_frame((Q @ R).T), np.zeros(8)
    run_orthonormalize(frame, 8, columns, qr.workspace(8), log_r, np.zeros(8), limit, False)
    # the image itself is rounded by u times its norm
    admitted = 20.0 * 2.0**-53 * (1.0 / scales + np.exp(limit))
    assert np.all(np.abs(log_r - np.log(scales)) <= admitted)


@pytest.mark.parametrize("broken", [np.nan, np.inf, 1e200])
def test_a_block_beyond_the_range_is_not_taken_for_whole(broken):
    start = RNG.normal(size=(8, 40))
    start[3, 5] = broken
    frame, log_r, duals = make_frame(start), np.zeros(8), np.zeros(8)
    run_orthonormalize(frame, 8, 40, qr.workspace(8), log_r, duals, 9.0, False)
    assert not log_r.max() < np.inf


def test_blas_gives_the_same_spectrum(kind, monkeypatch):
    network = lyapy.random_network(kind, 12, 3, layers=2, seed=1)
    inputs = RNG.normal(size=(150, 3))
    own = lyapunov_spectrum(network, inputs, frame="identity")
    by_blas = lyapunov_spectrum(network, inputs, frame="identity", blas_threads=2)
    np.testing.assert_allclose(own.growth, by_blas.growth, atol=1e-7)
    monkeypatch.setattr(compiled, "LARGE_STATE", 1)
    monkeypatch.setattr(compiled, "LARGE_FRAME", 1)
    large = lyapunov_spectrum(network, inputs, frame="identity")
    np.testing.assert_array_equal(large.growth, by_blas.growth)


OTHER_PROCESSOR = """
import llvmlite.binding, numba, numpy
# Numba goes on compiling for the processor that there is
numba.njit(lambda: 0)()
asked = llvmlite.binding.get_host_cpu_features
features = asked()
features.update(avx512f={wide}, avx={wide}, fma={wide})
llvmlite.binding.get_host_cpu_features = lambda: features
from lyapy.tangent.compiled.simd.vectors import PANEL, ROWS
llvmlite.binding.get_host_cpu_features = asked
import lyapy
network = lyapy.random_network("lstm", 11, 3, seed=1)
inputs = numpy.random.default_rng(0).normal(size=(150, 3))
spectrum = lyapy.lyapunov_spectrum(network, inputs, frame="identity")
numpy.save("growth.npy", spectrum.growth)
print(PANEL, ROWS)
"""


@pytest.mark.parametrize(("wide", "shape"), [(True, "16 8"), (False, "4 6")])
def test_vectors_of_another_length_give_the_same_growth(wide, shape, tmp_path):
    """Tiles for longer and shorter vectors, which LLVM makes of those of the processor."""
    command = [sys.executable, "-c", OTHER_PROCESSOR.format(wide=wide)]
    options = {"cwd": tmp_path, "env": os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}}
    done = subprocess.run(command, check=True, capture_output=True, text=True, **options)
    assert done.stdout.strip() == shape
    network = lyapy.random_network("lstm", 11, 3, seed=1)
    inputs = np.random.default_rng(0).normal(size=(150, 3))
    wanted = lyapunov_spectrum(network, inputs, frame="identity").growth
    np.testing.assert_allclose(np.load(tmp_path / "growth.npy"), wanted, atol=1e-6)
