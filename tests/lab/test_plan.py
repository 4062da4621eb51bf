from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.cost import memory_bytes
from lab.errors import InvalidRequest
from lab.limits import Limits
from lab.plan import plan, recorded_steps
from lab.spec import DatasetSpec, RecordingSpec
from tests.builders import a_dataset, a_spec, an_activation

LIMITS = Limits()


def test_arms_are_activations_times_every_combination_in_that_order() -> None:
    spec = a_spec("relu", "tanh", sweep=(("network.depth", (1, 2)), ("training.learning_rate", (0.1, 0.3))))

    arms = plan(spec, LIMITS).arms

    assert [arm.label for arm in arms[:5]] == [
        "relu, depth=1, learning_rate=0.1",
        "relu, depth=1, learning_rate=0.3",
        "relu, depth=2, learning_rate=0.1",
        "relu, depth=2, learning_rate=0.3",
        "tanh, depth=1, learning_rate=0.1",
    ]
    assert [arm.baseline for arm in arms] == [0, 1, 2, 3, 0, 1, 2, 3]
    assert [arm.network.depth for arm in arms[:4]] == [1, 1, 2, 2]


def test_every_run_is_in_exactly_one_stack_with_its_own_shape() -> None:
    spec = a_spec(
        "relu",
        "tanh",
        "gelu",
        replicates=7,
        sweep=(("network.width", (4, 64)), ("training.optimizer", ("sgd", "adam"))),
    )

    planned = plan(spec, LIMITS)

    runs = [(run.arm.position, run.replicate) for stack in planned.stacks for run in stack.runs]
    assert sorted(runs) == [(arm.position, replicate) for arm in planned.arms for replicate in range(7)]
    assert planned.n_runs == len(runs)
    for stack in planned.stacks:
        assert len({(run.arm.network.width, run.arm.training.optimizer) for run in stack.runs}) == 1
    assert [stack.position for stack in planned.stacks] == list(range(len(planned.stacks)))


def stack_sizes(n_runs: int, *, width: int, batch_size: int) -> list[int]:
    spec = a_spec("relu", width=width, batch_size=batch_size, replicates=n_runs)
    planned = plan(replace(spec, dataset=DatasetSpec("digits")), LIMITS)
    return [len(stack.runs) for stack in planned.stacks]


@pytest.mark.parametrize(("n_runs", "width", "batch_size"), [(100, 16, 32), (100, 64, 64), (30, 512, 128)])
def test_two_workers_end_together(n_runs: int, width: int, batch_size: int) -> None:
    busy = [0, 0]

    for size in stack_sizes(n_runs, width=width, batch_size=batch_size):
        busy[busy.index(min(busy))] += size

    assert max(busy) - min(busy) < 0.1 * max(busy)


@pytest.mark.parametrize("n_activations", [2, 3, 4])
def test_where_stacks_are_few_each_has_its_share_of_every_activation(n_activations: int) -> None:
    names = ("relu", "tanh", "sigmoid", "gelu")[:n_activations]
    spec = a_spec(*names, width=16, batch_size=32, replicates=100 // n_activations)

    stacks = plan(spec, LIMITS).stacks

    assert len(stacks) == 2
    shares = [[sum(run.arm.activation.name == name for run in stack.runs) for name in names] for stack in stacks]
    for one, other in zip(*shares, strict=True):
        assert abs(one - other) <= 2
    for stack in stacks:
        # Neighbours where they are of one arm, so that its kernel is called once.
        assert [(run.arm.position, run.replicate) for run in stack.runs] == sorted(
            (run.arm.position, run.replicate) for run in stack.runs
        )


def test_where_stacks_are_many_each_has_few_activations() -> None:
    spec = a_spec("relu", "tanh", "sigmoid", "gelu", width=64, batch_size=64, replicates=50)

    stacks = plan(spec, LIMITS).stacks

    assert all(len({run.arm.activation for run in stack.runs}) <= 2 for stack in stacks)


def test_a_stack_is_no_smaller_than_it_must_be() -> None:
    assert stack_sizes(40, width=16, batch_size=32) == [40]
    assert stack_sizes(7, width=64, batch_size=64) == [7]


def test_what_no_run_of_a_stack_asks_for_costs_it_nothing() -> None:
    sweep = (
        ("training.weight_decay", (0.0, 0.1, 0.2)),
        ("training.clip_norm", (None, 1.0, 2.0)),
        ("training.schedule", ("constant", "cosine")),
    )

    stacks = plan(a_spec("relu", replicates=1, sweep=sweep), LIMITS).stacks

    asked = [[run.arm.training for run in stack.runs] for stack in stacks]
    kinds = [{(t.weight_decay > 0, t.clip_norm is not None, t.schedule) for t in each} for each in asked]
    assert all(len(kind) == 1 for kind in kinds)
    assert len(set.union(*kinds)) == 8
    # What is asked for may differ in size.
    assert any(len({(t.weight_decay, t.clip_norm) for t in each}) > 1 for each in asked)


def test_a_batch_is_never_larger_than_the_data_and_a_partial_one_is_dropped() -> None:
    spec = a_spec(batch_size=64, training={"steps": None, "epochs": 3})
    arm = plan(spec, LIMITS).arms[0]
    assert (arm.batch_size, arm.steps) == (64, 3 * (1437 // 64))

    arm = plan(a_spec(batch_size=5000, training={"steps": None, "epochs": 3}), LIMITS).arms[0]
    assert (arm.batch_size, arm.steps) == (1437, 3)


def test_a_swept_data_set_has_inputs_outputs_and_stacks_of_its_own() -> None:
    paths = (("dataset.n_inputs", (3, 30)), ("dataset.n_classes", (2, 7)))
    planned = plan(a_spec("relu", "tanh", dataset=DatasetSpec("blobs"), sweep=paths, depth=1, width=8), LIMITS)

    assert [(arm.n_inputs, arm.n_outputs) for arm in planned.arms[:4]] == [(3, 2), (3, 7), (30, 2), (30, 7)]
    assert [arm.n_parameters for arm in planned.arms[:4]] == [
        (n_inputs + 1) * 8 + (8 + 1) * n_outputs for n_inputs in (3, 30) for n_outputs in (2, 7)
    ]
    assert len(planned.stacks) == 4
    for stack in planned.stacks:
        assert len({run.arm.dataset for run in stack.runs}) == 1


def test_a_wide_data_set_takes_memory() -> None:
    def memory(**parameters: int) -> int:
        arm = plan(a_spec("relu", batch_size=100, dataset=a_dataset("blobs", **parameters)), LIMITS).arms[0]
        return memory_bytes(arm)

    # 3,000 samples of 990 more inputs in float64, a copy in float32, a batch of 100, and the weights of 8 units.
    more = 3000 * 990 * (8 + 4) + 100 * 990 * 4 + 990 * 8 * 4 * 3
    assert memory(n_inputs=1000, n_train=2000) - memory(n_inputs=10, n_train=2000) == more


def test_parameters_are_counted_as_a_network_holds_them() -> None:
    arm = plan(a_spec(depth=3, width=8, network={"normalization": "batch"}), LIMITS).arms[0]

    hidden = (64 + 1) * 8 + 2 * (8 + 1) * 8
    assert arm.n_parameters == hidden + 3 * 2 * 8 + (8 + 1) * 10


@given(st.integers(1, 10_000), st.integers(2, 1000), st.sampled_from(["log", "even"]))
def test_recorded_steps_are_distinct_and_hold_the_first_and_the_last(steps: int, points: int, spacing: str) -> None:
    recorded = recorded_steps(steps, RecordingSpec(points, spacing))

    assert recorded[0] == 0
    assert recorded[-1] == steps
    assert list(recorded) == sorted(set(recorded))
    assert len(recorded) == min(points, steps + 1)


@pytest.mark.parametrize(
    ("spec", "limits", "field"),
    [
        (a_spec("relu", "relu"), LIMITS, "activations.1"),
        (a_spec("leaky_relu", an_activation("leaky_relu", negative_slope=0.01)), LIMITS, "activations.1"),
        (
            a_spec(sweep=(("network.depth", tuple(range(1, 65))), ("network.width", tuple(range(1, 65))))),
            LIMITS,
            "arms",
        ),
        (a_spec(replicates=1000, sweep=(("network.depth", tuple(range(1, 41))),)), LIMITS, "runs"),
        (a_spec(width=4096, depth=64, training={"steps": 1_000_000}), LIMITS, "cost"),
        (a_spec(training={"steps": None, "epochs": 100_000}), LIMITS, "training.epochs"),
        (a_spec(), Limits(cost=1), "cost"),
    ],
)
def test_too_much_or_twice_the_same_is_refused_by_name(spec: object, limits: Limits, field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        plan(spec, limits)  # type: ignore[arg-type]  # a_spec's type is lost in the table

    assert [error.field for error in refused.value.errors] == [field]
    assert "allowed" in str(refused.value)
