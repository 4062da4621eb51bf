"""What is recorded of how networks bend: of the networks as they are then, and only where it was asked for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from lab.catalog.measurements import GEOMETRY
from lab.plan import Stack
from lab.records import StackRecord
from lab.spec import ExperimentSpec
from tests.builders import a_spec
from tests.worker.engine.stacks import OneNetwork, a_training, layers_of, the_stack, train
from tests.worker.engine.test_probe import the_probe


def asking(spec: ExperimentSpec) -> ExperimentSpec:
    return replace(spec, recording=replace(spec.recording, geometry=True))


def records_of(spec: ExperimentSpec) -> tuple[Stack, list[StackRecord]]:
    stack = the_stack(spec)
    return stack, train(a_training(stack), stack)


def test_the_distance_from_affine_is_that_of_the_network_as_trained() -> None:
    stack = the_stack(asking(a_spec("identity", "relu", "tanh", training={"learning_rate": 0.5})))
    training = a_training(stack)

    last = train(training, stack)[-1]

    x = the_probe(stack, torch.float32)[0].double()
    a, b = x[::2], x[1::2]
    for m, run in enumerate(stack.runs):
        f = OneNetwork(run, layers_of(stack, training), m).double()
        gap = (f(a + b) - f(a) - f(b) + f(0 * a[:1])).abs().max() / torch.cat([f(a), f(b)]).abs().max()
        found = last.measurements["affinity_residual"][m, -1]
        assert found == pytest.approx(gap.item(), rel=1e-6, abs=1e-12)
        assert (found < 1e-12) == (run.arm.activation.name == "identity")


def test_only_piecewise_linear_networks_have_breakpoints_and_their_pieces_are_affine() -> None:
    stack, (first, *between, last) = records_of(asking(a_spec("relu", "tanh", width=16)))

    relu = [run.arm.activation.name == "relu" for run in stack.runs]
    for record in (first, last):
        assert (record.measurements["breakpoints"][relu] > 0).all()
        assert (record.measurements["piece_residual"][relu] < 1e-9).all()
        assert np.isfinite(record.measurements["affinity_residual"]).all()
    for name in ("breakpoints", "piece_residual"):
        assert all(np.isnan(record.measurements[name][np.invert(relu)]).all() for record in (first, last))
    assert between
    for record in between:
        assert all(np.isnan(record.measurements[name]).all() for name in GEOMETRY)


@pytest.mark.parametrize("network", [{"normalization": "batch"}, {"normalization": "layer"}, {"residual": True}])
def test_it_is_not_taken_where_the_network_is_not_a_plain_stack_of_layers(network: dict[str, object]) -> None:
    _, records = records_of(asking(a_spec("relu", network=network)))

    assert all(np.isnan(record.measurements[name]).all() for record in records for name in GEOMETRY)


def test_asking_changes_no_other_number() -> None:
    spec = a_spec("relu", "tanh")

    plain, asked = records_of(spec)[1], records_of(asking(spec))[1]

    for one, other in zip(plain, asked, strict=True):
        for name, values in one.measurements.items():
            if name in GEOMETRY:
                assert np.isnan(values).all()
            else:
                np.testing.assert_array_equal(other.measurements[name], values)


def test_a_network_that_has_diverged_has_none() -> None:
    rates = (("training.learning_rate", (0.05, 1e30)),)

    stack, records = records_of(asking(a_spec("relu", sweep=rates)))

    diverged = records[-1].diverged_at >= 0
    assert 0 < diverged.sum() < len(stack.runs)
    assert np.isnan(records[-1].measurements["affinity_residual"][diverged]).all()
    assert np.isfinite(records[-1].measurements["affinity_residual"][~diverged]).all()
