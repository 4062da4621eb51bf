from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.builders import a_spec
from tests.worker.engine.stacks import CPU, the_stack
from worker.engine.clipping import clip
from worker.engine.parameters import Parameters, Shape

SHAPE = Shape.of(the_stack(a_spec("relu", "tanh", depth=3, replicates=2, network={"normalization": "batch"})))
MOST = torch.tensor([0.5, 1e-3, 1e9, 2.0], dtype=torch.float64)


def some_gradients(dtype: torch.dtype) -> Parameters:
    gradients = Parameters(SHAPE, dtype=dtype, device=CPU)
    for g in gradients.blocks:
        g.normal_(generator=torch.Generator().manual_seed(g.numel()))
    return gradients


def of_network(gradients: Parameters, m: int) -> list[torch.Tensor]:
    layers = gradients.layers
    return [g[m].clone() for g in (*layers.w, *layers.b, *layers.gamma, *layers.beta)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_each_network_is_clipped_as_pytorch_clips_it_alone(dtype: torch.dtype) -> None:
    gradients = some_gradients(dtype)
    alone = []
    for m, most in enumerate(MOST.tolist()):
        parameters = [nn.Parameter(g) for g in of_network(gradients, m)]
        for parameter in parameters:
            parameter.grad = parameter.detach().clone()
        nn.utils.clip_grad_norm_(parameters, most)
        alone.append([parameter.grad for parameter in parameters])

    clip(gradients, MOST)

    for m, expected in enumerate(alone):
        for ours, theirs in zip(of_network(gradients, m), expected, strict=True):
            # Rounding of the norm's sum.
            torch.testing.assert_close(ours, theirs, rtol=1e-12 if dtype == torch.float64 else 1e-5, atol=0)


def test_a_gradient_whose_square_leaves_float32_is_clipped_to_the_norm_and_its_neighbours_bits_stay() -> None:
    gradients, calm = some_gradients(torch.float32), some_gradients(torch.float32)
    for g in gradients.blocks:
        g[:, 3] *= 1e25

    clip(gradients, MOST)
    clip(calm, MOST)

    norm = torch.cat([g.flatten() for g in of_network(gradients, 3)]).norm()
    # Factors of 1e-27 times numbers of 1e25: roundings of float32.
    assert norm.item() == pytest.approx(2.0, rel=1e-5)
    for m in range(3):
        assert all(torch.equal(a, b) for a, b in zip(of_network(gradients, m), of_network(calm, m), strict=True))


def test_a_gradient_that_is_no_number_stays_none_and_its_neighbours_bits_stay() -> None:
    gradients, calm = some_gradients(torch.float32), some_gradients(torch.float32)
    gradients.layers.w[1][0, 0, 0] = torch.nan

    clip(gradients, MOST)
    clip(calm, MOST)

    assert all(g.isnan().all() for g in of_network(gradients, 0))
    for m in range(1, 4):
        assert all(torch.equal(a, b) for a, b in zip(of_network(gradients, m), of_network(calm, m), strict=True))
