from __future__ import annotations

import pytest
import torch

from worker.engine.evaluation import _predicted


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_predicted_class_is_the_first_of_the_largest_outputs(dtype: torch.dtype) -> None:
    outputs = torch.randn(3, 7, 50, dtype=dtype, generator=torch.Generator().manual_seed(0)).round(decimals=0)
    # A network that has died gives every class the same output.
    outputs[0] = 0.0

    assert (_predicted(outputs) == outputs.argmax(1)).all()


def test_what_is_not_a_number_is_no_class() -> None:
    outputs = torch.full((1, 3, 2), torch.nan)

    assert (_predicted(outputs) == 3).all()
