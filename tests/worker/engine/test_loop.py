from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from lab.catalog.choices import OPTIMIZERS
from lab.catalog.measurements import CURVES
from lab.plan import Stack
from lab.records import StackRecord
from lab.spec import DatasetSpec
from tests.builders import a_spec
from tests.worker.engine.stacks import a_training, batches_of, layers_of, the_stack, train
from worker.engine import evaluation

ENORMOUS = 1e9
# What overflows within a few steps, whatever the optimizer.
TOO_LARGE = {"float32": ENORMOUS, "float64": 1e80}


def a_stack(*rates: float, optimizer: str = "sgd", steps: int = 12, **fields: Any) -> Stack:
    """leaky_relu with one arm for each learning rate; leaky, so that what grows keeps growing."""
    network = {"normalization": fields.pop("normalization", "none")}
    training = {"optimizer": optimizer, "dtype": fields.pop("dtype", "float32")} | fields.pop("training", {})
    spec = a_spec(
        "leaky_relu",
        depth=4,
        steps=steps,
        points=8,
        network=network,
        training=training,
        sweep=(("training.learning_rate", rates),),
        **fields,
    )
    return the_stack(spec)


REGRESSION = DatasetSpec("function_1d", (("function", "sine"), ("n_test", 31), ("n_train", 40)))
EVERYTHING = {"schedule": "warmup", "weight_decay": 0.1, "clip_norm": 1.0}
CASES: list[dict[str, Any]] = [
    *({"optimizer": optimizer, "dtype": "float32"} for optimizer in OPTIMIZERS),
    *({"optimizer": optimizer, "dtype": "float32", "training": EVERYTHING} for optimizer in OPTIMIZERS),
    {"optimizer": "momentum", "dtype": "float64"},
    {"optimizer": "adam", "dtype": "float64", "dataset": REGRESSION},
    {"optimizer": "momentum", "dtype": "float32", "dataset": REGRESSION, "normalization": "batch"},
]
IDS = [
    "-".join(str(part) for part in case.values() if isinstance(part, str)) + "-all" * ("training" in case)
    for case in CASES
]


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_a_diverging_network_leaves_its_neighbours_bits_alone(case: dict[str, Any]) -> None:
    stack, calm = a_stack(0.01, TOO_LARGE[case["dtype"]], **case), a_stack(0.01, 0.011, **case)
    training, calm_training = a_training(stack), a_training(calm)

    records, calm_records = train(training, stack), train(calm_training, calm)

    assert [result.diverged_at is None for result in training.results()] == [True, True, False, False]
    assert training.results()[:2] == calm_training.results()[:2]
    for record, calm_record in zip(records, calm_records, strict=True):
        for name, values in calm_record.measurements.items():
            np.testing.assert_array_equal(record.measurements[name][:2], values[:2])
        for name, values in calm_record.curves.items():
            np.testing.assert_array_equal(record.curves[name][:2], values[:2])
    assert torch.equal(layers_of(stack, training).w[1][:2], layers_of(calm, calm_training).w[1][:2])


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_a_diverged_network_is_frozen_before_the_update_of_that_step(case: dict[str, Any]) -> None:
    stack = a_stack(0.01, TOO_LARGE[case["dtype"]], **case)
    training, until = a_training(stack), a_training(stack)

    training.advance_to(12)
    at = int(training.record().diverged_at[2])
    until.advance_to(at - 1)

    assert at >= 1
    for frozen, last in zip(layers_of(stack, training).w, layers_of(stack, until).w, strict=True):
        torch.testing.assert_close(frozen[2], last[2], rtol=0, atol=0, equal_nan=True)
    assert until.record().diverged_at[2] == -1
    until.advance_to(at)
    assert until.record().diverged_at[2] == at


def test_nothing_is_reported_of_a_network_once_it_has_diverged() -> None:
    stack = a_stack(0.01, ENORMOUS)
    training = a_training(stack)

    records = train(training, stack)

    at = training.results()[2].diverged_at
    assert at is not None
    last_well = [record for record in records if record.step < at][-1]
    for record in records:
        reported = np.isfinite(record.measurements["weight_norm"][2]).any()
        assert reported == (record.step < at)
        if record.step >= at:
            assert all(np.isnan(values[2]).all() for values in record.measurements.values())
            assert all(np.isnan(values[2]) for values in record.curves.values())
    result = training.results()[2]
    assert result.loss_auc is None
    assert result.train_loss == last_well.curves["train_loss"][2]
    assert result.dead_fraction_end == tuple(last_well.measurements["dead_fraction"][2])


def test_units_of_a_network_whose_weights_are_no_numbers_are_neither_dead_nor_revived() -> None:
    rates = (("training.learning_rate", (1e2, 1e3, 1e4, 1e5)),)
    stack = the_stack(a_spec("relu", "gelu", dataset=REGRESSION, steps=30, points=31, replicates=8, sweep=rates))
    training = a_training(stack)

    records = train(training, stack)

    diverged = [(m, result) for m, result in enumerate(training.results()) if result.diverged_at]
    assert diverged
    for m, result in diverged:
        last = [record for record in records if _is_readable(record, m)][-1]
        assert result.dead_fraction_end == tuple(last.measurements["dead_fraction"][m])


def _is_readable(record: StackRecord, m: int) -> bool:
    layers = [record.measurements[name][m] for name in ("weight_norm", "preactivation_std")]
    return bool(np.isfinite(record.curves["probe_loss"][m]) and np.isfinite(layers).all())


def test_a_stack_that_has_diverged_as_a_whole_comes_to_its_end() -> None:
    stack = a_stack(ENORMOUS)
    training = a_training(stack)

    records = train(training, stack)

    assert records[-1].step == 12
    assert all(result.diverged_at for result in training.results())


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("cut", [0, 5, 8, 12])
def test_a_restored_training_goes_on_with_the_same_bits(optimizer: str, cut: int) -> None:
    # Two steps an epoch, so that step 5 lies within one; normalized, so that there is all there can be to keep.
    dataset = DatasetSpec("spirals", (("n_test", 20), ("n_train", 35), ("noise", 0.0)))
    common: dict[str, Any] = {"normalization": "batch", "dataset": dataset, "training": EVERYTHING}
    stack = a_stack(0.01, ENORMOUS, optimizer=optimizer, **common)
    undisturbed, first, second = a_training(stack), a_training(stack), a_training(stack)
    expected = train(undisturbed, stack)

    records = []
    for step in stack.recorded_steps:
        if step < cut or cut == 12:
            first.advance_to(step)
            records.append(first.record())
    first.advance_to(cut)
    second.restore(first.state())
    assert second.step == cut
    for step in stack.recorded_steps:
        if step >= cut and cut != 12:
            second.advance_to(step)
            records.append(second.record())

    assert second.results() == undisturbed.results()
    for one, other in zip(records, expected, strict=True):
        for name, values in (*other.measurements.items(), *other.curves.items()):
            np.testing.assert_array_equal({**one.measurements, **one.curves}[name], values)
    for name, tensor in undisturbed.state().items():
        torch.testing.assert_close(second.state()[name], tensor, rtol=0, atol=0, equal_nan=True)


def test_a_state_is_a_copy() -> None:
    stack = a_stack(0.01)
    training = a_training(stack)
    state = training.state()
    before = {name: tensor.clone() for name, tensor in state.items()}

    training.advance_to(3)

    assert all(torch.equal(state[name], tensor) for name, tensor in before.items() if not tensor.isnan().any())


def test_the_same_request_gives_the_same_bits_in_any_increments() -> None:
    stack = a_stack(0.01, 0.1)
    one, other = a_training(stack), a_training(stack)

    one.advance_to(12)
    for step in range(13):
        other.advance_to(step)

    assert torch.equal(one.state()["parameters"], other.state()["parameters"])


def test_measuring_changes_nothing_of_the_training() -> None:
    stack = a_stack(0.01, normalization="batch")
    measured, unmeasured = a_training(stack), a_training(stack)

    train(measured, stack)
    unmeasured.advance_to(12)

    for name in ("parameters", "running_statistics"):
        assert torch.equal(measured.state()[name], unmeasured.state()[name])


def test_losses_are_means_of_minibatch_losses() -> None:
    stack = a_stack(0.0001, steps=10)
    training = a_training(stack)

    records = train(training, stack)

    assert all(np.isnan(records[0].curves["train_loss"]))
    spans = np.diff([record.step for record in records])
    sums = np.array([record.curves["train_loss"] for record in records[1:]]).T @ spans
    auc = [result.loss_auc for result in training.results()]
    assert auc == pytest.approx(sums / 10, rel=1e-12)
    # At this rate the loss hardly moves from where it starts, about ln 10.
    assert auc[0] == pytest.approx(math.log(10), rel=0.05)


def test_results_repeat_the_last_record() -> None:
    stack = a_stack(0.01)
    training = a_training(stack)

    last = train(training, stack)[-1]

    for m, result in enumerate(training.results()):
        assert [getattr(result, name) for name in CURVES] == [values[m] for values in last.curves.values()]
        assert result.dead_fraction_end == tuple(last.measurements["dead_fraction"][m])


def test_a_test_set_is_judged_the_same_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = a_stack(0.01, normalization="batch", dtype="float64")
    whole = train(a_training(stack), stack)[-1]
    # Two networks of width 8, 7 samples at once: 360 samples in 52 pieces, the last of 3.
    monkeypatch.setattr(evaluation, "_NUMBERS", 2 * 8 * 7)

    pieces = train(a_training(stack), stack)[-1]

    assert pieces.curves["test_loss"] == pytest.approx(whole.curves["test_loss"], rel=1e-12)
    np.testing.assert_array_equal(pieces.curves["test_accuracy"], whole.curves["test_accuracy"])


def test_regression_has_no_accuracy() -> None:
    stack = a_stack(0.01, dataset=REGRESSION)
    training = a_training(stack)

    records = train(training, stack)

    assert all(np.isnan(record.curves["test_accuracy"]).all() for record in records)
    assert all(result.test_accuracy is None and result.test_loss is not None for result in training.results())


def test_a_batch_is_no_larger_than_the_training_set() -> None:
    dataset = DatasetSpec("xor", (("n_test", 5), ("n_train", 7), ("noise", 0.0)))
    stack = the_stack(a_spec("tanh", batch_size=64, dataset=dataset, network={"normalization": "batch"}))

    x, _ = batches_of(stack, stack.runs[0])[0]
    results = a_training(stack)
    train(results, stack)

    assert x.shape == (7, 2)
    assert all(result.diverged_at is None for result in results.results())


def test_one_sample_and_one_unit_are_enough() -> None:
    dataset = DatasetSpec("xor", (("n_test", 1), ("n_train", 2), ("noise", 0.0)))
    network = {"normalization": "batch"}
    stack = the_stack(a_spec("relu", depth=1, width=1, batch_size=1, probe_size=1, dataset=dataset, network=network))
    training = a_training(stack)

    train(training, stack)

    assert all(result.loss_auc is not None for result in training.results())
