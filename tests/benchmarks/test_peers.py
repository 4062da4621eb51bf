from __future__ import annotations

import importlib
from importlib.util import find_spec
from typing import cast

import numpy as np
import pytest
import torch

from benchmarks import job
from benchmarks.draws import batch_rows, initial_layers, samples
from benchmarks.job import Peer, Recorded, Share, Task
from benchmarks.peers import engine
from lab.catalog.measurements import CURVES, MEASUREMENTS
from lab.spec import DatasetSpec, ExperimentSpec
from tests.builders import a_spec
from tests.worker.engine.stacks import the_stack
from worker import datasets
from worker.engine.batches import Batches
from worker.engine.initialization import initialize
from worker.engine.parameters import Parameters, Shape

# Gradients of 1e-3 and rates of 1 keep an update well above what float32 loses of it in a weight.
SPEC = a_spec(
    "relu", "tanh", "sigmoid", "gelu", depth=3, steps=30, replicates=3, points=5, probe_size=64,
    training={"learning_rate": 0.5},
)  # fmt: skip
FRACTIONS = [name for name in (*MEASUREMENTS, *CURVES) if name.endswith(("_fraction", "_accuracy"))]


def recorded_by(name: str, spec: ExperimentSpec) -> Recorded:
    """In this process, piece by piece."""
    peer = cast(Peer, importlib.import_module(f"benchmarks.peers.{name}"))
    parts = [peer.train(piece, recording=True, device="cpu").recorded for piece in peer.pieces(spec)]
    return {name: np.concatenate([part[name] for part in parts], axis=1) for name in parts[0]}


def assert_alike(given: Recorded, expected: Recorded) -> None:
    assert set(given) == set(expected) == {*MEASUREMENTS, *CURVES}
    for name in expected:
        # Rounding of single sums in float32 is 1e-7; thirty steps multiply it. A count may move by an entry or two.
        atol = 0.01 if name in FRACTIONS else 2e-6
        np.testing.assert_allclose(given[name], expected[name], rtol=1e-3, atol=atol, err_msg=name)


def test_every_peer_has_the_engines_samples() -> None:
    data, probe = datasets.load(DatasetSpec()), datasets.probe_indices(DatasetSpec(), 64)

    given = samples(64)

    for name in ("x_train", "y_train", "x_test", "y_test"):
        expected = getattr(data, name)
        np.testing.assert_array_equal(getattr(given, name), expected.astype(getattr(given, name).dtype))
    np.testing.assert_array_equal(given.x_probe, given.x_train[probe])
    np.testing.assert_array_equal(given.y_probe, given.y_train[probe])


def test_every_peer_starts_from_the_engines_draws() -> None:
    stack = the_stack(SPEC)
    parameters = Parameters(Shape.of(stack), dtype=torch.float32, device=torch.device("cpu"))

    initialize(parameters, stack.runs, stack.seed)

    for m, run in enumerate(stack.runs):
        for layer, (w, b) in enumerate(initial_layers(run, stack.seed)):
            np.testing.assert_array_equal(parameters.layers.w[layer][m].numpy(), w)
            np.testing.assert_array_equal(parameters.layers.b[layer][m, 0].numpy(), b)


def test_every_peer_sees_the_engines_batches() -> None:
    stack = the_stack(a_spec(steps=100, batch_size=500))
    numbers = torch.arange(1437)
    batches = Batches(
        numbers[:, None].float(), numbers, batch_size=500, replicates=[run.replicate for run in stack.runs], seed=0
    )

    for step in range(100):
        _, rows = batches.at(step)
        np.testing.assert_array_equal(rows, [batch_rows(run, 0)[step] for run in stack.runs])


def test_one_module_at_a_time_records_what_the_engine_records() -> None:
    assert_alike(recorded_by("alone", SPEC), recorded_by("engine", SPEC))


@pytest.mark.skipif(find_spec("jax") is None, reason="NOT TESTED: JAX is not installed; make bench installs it")
def test_jax_records_what_the_engine_records() -> None:
    # In a process of its own: JAX warns of every fork after it.
    given = job.run(Task("vmapped", SPEC), Share(1, 1)).recorded

    assert_alike(given, recorded_by("engine", SPEC))


def test_a_job_of_two_processes_records_what_one_records_in_the_plans_order() -> None:
    spec = a_spec("relu", "tanh", width=256, batch_size=64, replicates=5)
    assert len(engine.pieces(spec)) > 2

    done = job.run(Task("engine", spec), Share(2, torch.get_num_threads()))

    expected = recorded_by("engine", spec)
    for name in expected:
        np.testing.assert_array_equal(done.recorded[name], expected[name])
    assert 0 < done.startup_s < done.whole_s
    assert sum(len(shift.recorded) for shift in done.shifts) == len(engine.pieces(spec))


def test_a_job_whose_process_dies_says_so(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError, match="peer 'products' ended before its work was done"):
        job.run(Task("products", SPEC, device="nowhere"), Share(1, 1))
    assert "nowhere" in capfd.readouterr().err
