from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

from worker.engine import products
from worker.engine.products import product

# (I, K, J): small as it stands, in blocks of rows, and neither, because 509 is a prime.
SIZES = [(64, 64, 64), (7, 3, 5), (1, 4, 1), (512, 64, 64), (64, 512, 64), (509, 64, 64)]


@pytest.fixture(params=[True, False], ids=["by NumPy where it is small", "by PyTorch"])
def by_numpy(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[bool]:
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    monkeypatch.setattr(products, "_NUMPY_IS_QUICKER", request.param)
    yield request.param
    torch.set_num_threads(n_threads)


def factors(n_rows: int, n_inner: int, n_columns: int, *, n_networks: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    a, b = torch.randn(n_networks, n_rows, n_inner), torch.randn(n_networks, n_inner, n_columns)
    return a, b, torch.full((n_networks, n_rows, n_columns), torch.nan)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("layout", ["as they are", "a transposed", "b transposed", "one a for all"])
@pytest.mark.usefixtures("by_numpy")
def test_a_product_is_that_of_what_its_factors_hold_when_it_is_called(size: tuple[int, int, int], layout: str) -> None:
    a, b, out = factors(*size)
    if layout == "a transposed":
        a = a.mT.contiguous().mT
    if layout == "b transposed":
        b = b.mT.contiguous().mT
    if layout == "one a for all":
        a = a[0].expand(3, -1, -1)
    multiply = product(a, b, out)

    b.mul_(2)
    multiply()

    expected = np.einsum("mik,mkj->mij", a.double().numpy(), b.double().numpy())
    # float32 rounds at most every one of the K products and sums.
    most = size[1] * torch.finfo(torch.float32).eps * np.einsum("mik,mkj->mij", np.abs(a.numpy()), np.abs(b.numpy()))
    assert (np.abs(out.numpy() - expected) <= most).all()


@pytest.mark.parametrize("size", SIZES)
def test_a_networks_product_does_not_depend_on_the_others_bits(size: tuple[int, int, int], by_numpy: bool) -> None:
    a, b, out = factors(*size)
    alone = torch.empty_like(out[:1])
    a[0, 0, 0], b[2, 0, 0] = torch.nan, torch.inf

    product(a, b, out)()
    product(a[1:2].clone(), b[1:2].clone(), alone)()

    if by_numpy:
        assert torch.equal(out[1], alone[0])
    assert torch.allclose(out[1], alone[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_products_in_float64_and_those_of_several_threads_are_pytorchs(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(products, "_NUMPY_IS_QUICKER", True)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1 if dtype == torch.float64 else 2)
    a, b, out = (t.to(dtype) for t in factors(4, 3, 2))

    multiply = product(a, b, out)
    multiply()

    assert isinstance(multiply, partial)
    assert multiply.func is torch.bmm
    assert torch.equal(out, torch.bmm(a, b))
