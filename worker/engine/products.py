"""Matrix products of M networks at once, by whichever library multiplies matrices of their size faster here.

On AMD's processors with AVX-512 that is NumPy, by its OpenBLAS, for small ones: there it runs near the processor's
peak, where PyTorch's MKL reaches four fifths of that at 64 x 64, and half at 16 x 16.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from worker.engine.processor import processor

Product = Callable[[], object]

# OpenBLAS multiplies up to so many triples of numbers by kernels that copy nothing first, on the calling thread.
_MOST_TRIPLES = 100**3
# Blocks of fewer rows than that gain nothing.
_FEWEST_ROWS = 16


def product(a: Tensor, b: Tensor, out: Tensor) -> Product:
    """What writes the products of what is in a (M, I, K) and b (M, K, J) then to `out` (M, I, J).

    The same factors give the same bits at every call, whatever the other networks' are.
    """
    n = _blocks(a.shape[1], a.shape[2] * b.shape[2]) if _may_be_numpys(a, b) else 0
    if not n:
        return partial(torch.bmm, a, b, out=out)
    return partial(np.matmul, _cut(a, n), b.numpy()[:, None], out=_cut(out, n))


def _may_be_numpys(a: Tensor, b: Tensor) -> bool:
    """Not where b is a transposed view, which its kernels are slow at; nor where threads could share the work."""
    is_by_rows = b.stride(2) == 1 or b.shape[2] == 1
    are_float32_on_cpu = a.device.type == "cpu" and a.dtype == torch.float32
    return _NUMPY_IS_QUICKER and are_float32_on_cpu and is_by_rows and torch.get_num_threads() == 1


def _blocks(n_rows: int, each: int) -> int:
    """Into how many equal blocks of rows, of `each` triples a row, a product is cut to be small; 0 if it cannot be."""
    most = max(n_rows // _FEWEST_ROWS, 1)
    return next((n for n in range(1, most + 1) if n_rows % n == 0 and n_rows // n * each <= _MOST_TRIPLES), 0)


def _cut(t: Tensor, n: int) -> NDArray[np.float32]:
    """(M, I, .) as (M, n, I / n, .), without a copy."""
    whole: NDArray[np.float32] = t.numpy()
    return whole.reshape(len(t), n, -1, t.shape[2])


def _is_amd_with_avx512() -> bool:
    here = processor()
    return bool(here.get("avx512_f")) and "AMD" in str(here.get("cpu_name"))


def _is_by_openblas() -> bool:
    return "openblas" in np.show_config(mode="dicts")["Build Dependencies"]["blas"]["name"]


_NUMPY_IS_QUICKER = _is_amd_with_avx512() and _is_by_openblas()
