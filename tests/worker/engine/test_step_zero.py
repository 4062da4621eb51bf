"""What the engine measures before the first update, against what theory says of wide networks."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from lab.catalog.activations import ACTIVATIONS
from lab.catalog.choices import NORMALIZATIONS
from lab.catalog.initializations import INITIALIZATIONS
from lab.plan import Arm, Run, Stack, arms_of
from lab.spec import RecordingSpec
from lab.theory.prediction import inputs_of, not_covered, predict
from tests.builders import a_spec
from tests.worker.engine.stacks import CPU
from worker.engine.activations import Activations
from worker.engine.initialization import initialize
from worker.engine.losses import cross_entropy
from worker.engine.parameters import Parameters, Shape
from worker.engine.probe import Probe

GENERATOR = torch.Generator().manual_seed(0)
# As theory has it: no two samples are alike but for what all have in common, and gradients know nothing of inputs.
X = torch.randn(128, 64, generator=GENERATOR) + 0.5 * torch.randn(64, generator=GENERATOR)
Y = torch.randint(0, 10, (128,), generator=GENERATOR)


def covered_arms(initialization: str, normalization: str) -> list[Arm]:
    network = {"initialization": initialization, "normalization": normalization}
    arms = arms_of(a_spec(*sorted(ACTIVATIONS), depth=3, width=512, network=network))
    return [arm for arm in arms if not not_covered(arm)]


COVERED = [(i, n) for i in INITIALIZATIONS for n in NORMALIZATIONS if covered_arms(i, n)]


def measured_at_step_zero(arms: list[Arm]) -> dict[str, torch.Tensor]:
    """Each (arms, layers); one network of each arm."""
    stack = Stack(0, tuple(Run(arm, 0) for arm in arms), 0, RecordingSpec())
    parameters = Parameters(Shape.of(stack), dtype=torch.float32, device=CPU)
    initialize(parameters, stack.runs, stack.seed)
    probe = Probe(
        X,
        Y,
        activations=Activations([arm.activation for arm in arms]),
        loss=cross_entropy,
        parameters=parameters,
        gradients=parameters.alike(),
    )
    none_yet = torch.full((len(arms), 3), torch.nan, dtype=torch.float64)
    return probe.read(none_yet, with_rank=False).measurements


@pytest.mark.parametrize(("initialization", "normalization"), COVERED)
def test_wide_networks_start_as_predicted(initialization: str, normalization: str) -> None:
    arms = covered_arms(initialization, normalization)

    measured = {name: values.numpy() for name, values in measured_at_step_zero(arms).items()}

    variance = measured["preactivation_mean"] ** 2 + measured["preactivation_std"] ** 2
    ln_ratio = 2 * np.diff(-np.log(measured["delta_norm"]), axis=1)
    inputs = inputs_of(X.double().numpy())
    for m, arm in enumerate(arms):
        layers = predict(arm, inputs).layers
        expected = np.array([layer.variance for layer in layers])
        means = np.array([layer.activation_mean for layer in layers])
        # Each layer draws anew, so a network's variance strays like sqrt(7 l / 512) for ReLU on one input, 0.2 in the
        # third layer, and its mean with it; 128 inputs average half of that away.
        assert np.log(variance[m]) == pytest.approx(np.log(expected), abs=0.25), arm.label
        np.testing.assert_allclose(
            measured["activation_mean"][m] / np.sqrt(expected), means / np.sqrt(expected), atol=0.06, err_msg=arm.label
        )
        for layer, found in zip(layers[:-1], ln_ratio[m], strict=True):
            assert layer.ratio is not None
            assert layer.band is not None
            # The band's noise is that of one input, too.
            allowed = layer.band.margin + layer.band.noise
            assert found == pytest.approx(math.log(layer.ratio), abs=allowed), arm.label
