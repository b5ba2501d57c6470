"""Kernels that are compiled once and called by PyTensor: packing, caching, and what PyTensor sees."""

import os
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest

from cvmlib.compiled import fused


@numba.njit
def _weighted_squares(parameters, integers, numbers, gradient):
    """``sum over i, g of weight_i power_g parameter_ig^2``."""
    powers, weights = fused.integer_part(integers, 0), fused.number_part(integers, numbers, 1)
    total = 0.0
    for i in range(parameters.shape[0]):
        for g in range(parameters.shape[1]):
            total += weights[i] * powers[g] * parameters[i, g] ** 2
            gradient[i, g] = 2 * weights[i] * powers[g] * parameters[i, g]
    return total


KERNEL = fused.Kernel(_weighted_squares, (__file__,))
POWERS, WEIGHTS = np.array([1, 2, 3]), np.array([0.5, 2.0])
AT = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
VALUE = float((WEIGHTS[:, None] * POWERS * AT**2).sum())
GRADIENT = 2 * WEIGHTS[:, None] * POWERS * AT


def test_packed_arrays_come_out_again():
    arrays = [np.array([3, 4]), np.array([0.5]), np.array([], dtype=float), np.array([[7], [8]]), np.eye(2)]
    integers, numbers = fused.pack(arrays)
    for place, array in enumerate(arrays):
        start, stop = integers[2 * place : 2 * place + 2]
        packed = integers if np.issubdtype(array.dtype, np.integer) else numbers
        assert packed[start:stop] == pytest.approx(array.ravel())


def test_evaluate():
    value, gradient = KERNEL.evaluate(AT, *fused.pack([POWERS, WEIGHTS]))
    assert value == pytest.approx(VALUE) and gradient == pytest.approx(GRADIENT)
    value, gradient = KERNEL.evaluate(np.asfortranarray(AT), *fused.pack([POWERS, WEIGHTS]))
    assert value == pytest.approx(VALUE) and gradient == pytest.approx(GRADIENT)


@pytest.mark.parametrize("mode", ["NUMBA", "FAST_COMPILE"])
def test_through_pytensor(mode):
    first, second = pt.dvector("first"), pt.dvector("second")
    total = KERNEL.log_likelihood((first, second), fused.pack([POWERS, WEIGHTS]))
    compute = pytensor.function([first, second], [total, *pytensor.grad(3.0 * total, [first, second])], mode=mode)
    value, *gradient = compute(*AT)
    assert value == pytest.approx(VALUE)
    assert np.array(gradient) == pytest.approx(3 * GRADIENT)


def test_a_change_of_a_source_makes_another_kernel(tmp_path):
    source = tmp_path / "source.py"
    source.write_text("one")
    before = fused.Kernel(_weighted_squares, (str(source),)).name
    assert fused.Kernel(_weighted_squares, (str(source),)).name == before
    source.write_text("two")
    assert fused.Kernel(_weighted_squares, (str(source),)).name != before


PROCESS = """
import sys, numpy as np, pytensor, pytensor.tensor as pt
from cvmlib.compiled import fused
from tests.compiled import test_fused
compiled, compile_it = [], test_fused._weighted_squares.compile
test_fused._weighted_squares.compile = lambda *a: compiled.append(a) or compile_it(*a)
groups = int(sys.argv[1])
only = pt.dvector("only")
total = test_fused.KERNEL.log_likelihood([only], fused.pack([np.arange(groups), np.ones(1)]))
compute = pytensor.function([only], total, mode="NUMBA")
value = compute(np.full(groups, 2.0))
print(len(compiled) > 0, sum(compute.vm.jit_fn.stats.cache_misses.values()), value / (4 * np.arange(groups).sum()))
"""


def test_a_second_process_compiles_nothing_whatever_its_data(tmp_path):
    flags = f"base_compiledir={tmp_path / 'pytensor'},numba__fastmath=0"
    environment = os.environ | {"PYTENSOR_FLAGS": flags, "NUMBA_CACHE_DIR": str(tmp_path / "numba")}
    root = Path(__file__).resolve().parents[2]
    found = [
        subprocess.run(
            [sys.executable, "-c", PROCESS, groups],
            env=environment,
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for groups in ("2", "50")
    ]
    assert found == [["True", "1", "1.0"], ["False", "0", "1.0"]]
