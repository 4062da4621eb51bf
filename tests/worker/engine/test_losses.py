from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from worker.engine.losses import LOSSES, cross_entropy

GENERATOR = torch.Generator().manual_seed(0)
OUTPUTS = 3 * torch.randn(2, 4, 5, dtype=torch.float64, generator=GENERATOR)
CLASSES = torch.randint(0, 4, (2, 5), generator=GENERATOR)
VALUES = torch.randn(2, 5, 4, dtype=torch.float64, generator=GENERATOR)


def by_autograd(task: str, outputs: Tensor, y: Tensor) -> Tensor:
    if task == "classification":
        return nn.functional.cross_entropy(outputs, y, reduction="none")
    return nn.functional.mse_loss(outputs, y.mT, reduction="none").mean(1)


@pytest.mark.parametrize("task", sorted(LOSSES))
def test_a_loss_and_its_gradient_are_autograds(task: str) -> None:
    y = CLASSES if task == "classification" else VALUES
    outputs = OUTPUTS.clone().requires_grad_()
    expected = by_autograd(task, outputs, y)
    (expected_gradient,) = torch.autograd.grad(expected.sum(), outputs)

    losses, gradient = LOSSES[task](OUTPUTS.clone(), y)  # type: ignore[index]  # a Task

    torch.testing.assert_close(losses, expected.detach())
    torch.testing.assert_close(gradient, expected_gradient)


def test_cross_entropy_bears_large_outputs() -> None:
    outputs = torch.tensor([[[1e30, 0.0], [-1e30, 1e4]]])

    losses, gradient = cross_entropy(outputs, torch.tensor([[0, 0]]))

    assert losses.tolist() == [[0.0, 1e4]]
    assert gradient.tolist() == [[[0.0, -1.0], [0.0, 1.0]]]


def test_cross_entropy_of_what_is_not_finite_is_not_finite() -> None:
    outputs = torch.tensor([[[torch.inf], [0.0]], [[torch.nan], [0.0]], [[1.0], [2.0]]])

    losses, _ = cross_entropy(outputs, torch.tensor([[0], [1], [1]]))

    assert losses.isfinite().flatten().tolist() == [False, False, True]
