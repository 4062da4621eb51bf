from __future__ import annotations

from dataclasses import replace

from lab.spec import ActivationSpec, DatasetSpec, ExperimentSpec, with_value
from tests.builders import a_spec, an_activation


def test_a_request_reads_back_as_it_was_written() -> None:
    spec = a_spec(
        "relu",
        an_activation("leaky_relu", negative_slope=0.2),
        name="why",
        tags=("a", "b"),
        sweep=(("training.learning_rate", (0.1, 0.01)), ("network.depth", (1, 2))),
        baseline=1,
    )

    assert ExperimentSpec.from_json(spec.to_json()) == spec


def test_the_digest_ignores_the_name_and_sees_everything_that_decides_numbers() -> None:
    spec = a_spec(sweep=(("network.depth", (1, 2)), ("network.width", (3, 4))))

    assert replace(spec, name="other", tags=("x",)).digest == spec.digest
    others = [
        replace(spec, seed=1),
        replace(spec, replicates=3),
        replace(spec, baseline=1),
        replace(spec, sweep=spec.sweep[::-1]),
        replace(spec, activations=spec.activations[::-1], baseline=1),
    ]
    assert len({other.digest for other in others} | {spec.digest}) == 1 + len(others)


def test_a_training_that_was_stored_before_there_were_schedules_reads_back_with_the_defaults() -> None:
    stored = a_spec().to_json()
    for later in ("schedule", "weight_decay", "clip_norm"):
        del stored["training"][later]

    training = ExperimentSpec.from_json(stored).training

    assert (training.schedule, training.weight_decay, training.clip_norm) == ("constant", 0.0, None)
    assert ExperimentSpec.from_json(stored) == a_spec()


def test_no_clipping_is_said_and_can_be_swept() -> None:
    spec = a_spec(sweep=(("training.clip_norm", (None, 1.0)),))

    assert spec.to_json()["training"]["clip_norm"] is None
    assert "epochs" not in spec.to_json()["training"]
    assert ExperimentSpec.from_json(spec.to_json()) == spec
    assert with_value(spec, "training.clip_norm", 1.0).digest != spec.digest


def test_a_swept_length_replaces_the_other_unit_of_length() -> None:
    spec = with_value(a_spec(steps=6), "training.epochs", 2)

    assert (spec.training.steps, spec.training.epochs) == (None, 2)


def test_a_default_said_and_unsaid_is_the_same_activation() -> None:
    spec = a_spec("relu", "tanh")
    said = replace(spec, activations=(ActivationSpec("relu"), ActivationSpec("tanh", (("scale_in", 1.0),))))

    assert said == spec
    assert said.digest == spec.digest
    assert a_spec("relu", an_activation("tanh", scale_in=2.0)).digest != spec.digest
    # As a request was written that knew no wrapper.
    older = spec.to_json() | {"activations": [{"name": "relu"}, {"name": "tanh"}]}
    assert ExperimentSpec.from_json(older) == spec


def test_a_data_set_has_all_its_parameters_whoever_asks_for_it() -> None:
    spec = a_spec(dataset=DatasetSpec("xor", (("noise", 0.5),)))

    assert spec.dataset.parameters == (("n_test", 1000), ("n_train", 1000), ("noise", 0.5))
    # As a request was written before the data set took a size.
    older = spec.to_json() | {"dataset": {"name": "xor", "noise": 0.5}}
    assert ExperimentSpec.from_json(older) == spec


def test_a_label_says_only_what_differs_from_the_default() -> None:
    assert an_activation("leaky_relu").label == "leaky_relu"
    assert an_activation("leaky_relu", negative_slope=0.1).label == "leaky_relu(negative_slope=0.1)"
