"""What a person writes on the command line is the request that is sent."""

from __future__ import annotations

import math
from typing import Any

import click
import pytest

from actlab.cli.request import request


def test_an_option_sets_its_field_and_nothing_else() -> None:
    assert request({}, {"activations": "relu,tanh", "depth": 8, "learning_rate": 0.3, "seed": 0}) == {
        "activations": ["relu", "tanh"],
        "network": {"depth": 8},
        "training": {"learning_rate": 0.3},
        "seed": 0,
    }


def test_an_option_changes_a_field_of_a_request_from_a_file() -> None:
    base = {"activations": ["relu"], "network": {"depth": 2, "width": 8}, "tags": ["a"]}

    changed = request(base, {"depth": 4, "tag": ("b",)})

    assert changed == {"activations": ["relu"], "network": {"depth": 4, "width": 8}, "tags": ["a", "b"]}
    assert base["network"] == {"depth": 2, "width": 8}


def test_activations_take_parameters_as_labels_have_them() -> None:
    spec = request({}, {"activations": "relu, leaky_relu(negative_slope=0.1),tanh"})

    assert spec["activations"] == ["relu", {"name": "leaky_relu", "negative_slope": 0.1}, "tanh"]


def test_an_activation_of_two_parameters_is_one_activation() -> None:
    assert request({}, {"activations": "x(a=1,b=2)"})["activations"] == [{"name": "x", "a": 1, "b": 2}]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("recording.points=20", 20),
        ("recording.points=1e-3", 0.001),
        ("recording.points=even", "even"),
        ("recording.points=true", True),
    ],
)
def test_set_reads_a_value_as_what_it_looks_like(text: str, expected: Any) -> None:
    assert request({}, {"set_values": (text,)}) == {"recording": {"points": expected}}


def test_sweeps_keep_their_order() -> None:
    spec = request({}, {"sweep": ("training.learning_rate=0.03,0.3", "network.depth=2,4", "dataset.function=sine,abs")})

    assert list(spec["sweep"].items()) == [
        ("training.learning_rate", [0.03, 0.3]),
        ("network.depth", [2, 4]),
        ("dataset.function", ["sine", "abs"]),
    ]


def test_the_length_that_is_said_replaces_the_one_in_the_file() -> None:
    assert request({"training": {"epochs": 20}}, {"steps": 100})["training"] == {"steps": 100}
    assert request({"training": {"steps": 100}}, {"set_values": ("training.epochs=2",)})["training"] == {"epochs": 2}


def test_a_data_set_named_by_its_bare_name_can_get_a_parameter() -> None:
    spec = request({"dataset": "xor"}, {"set_values": ("dataset.noise=0.1",)})

    assert spec["dataset"] == {"name": "xor", "noise": 0.1}


@pytest.mark.parametrize("text", ["recording.points", "=3", "recording.points="])
def test_a_setting_without_name_or_value_is_refused(text: str) -> None:
    with pytest.raises(click.UsageError, match="--set takes NAME=VALUE"):
        request({}, {"set_values": (text,)})


@pytest.mark.parametrize(
    ("base", "options", "field"),
    [
        ({}, {"learning_rate": math.nan}, "training.learning_rate: given nan"),
        ({"training": {"learning_rate": math.inf}}, {}, "training.learning_rate: given inf"),
        ({}, {"set_values": ("recording.points=1e400",)}, "recording.points: given inf"),
        ({}, {"sweep": ("training.learning_rate=0.1,NaN",)}, r"sweep.training.learning_rate\[1\]: given nan"),
    ],
)
def test_a_number_that_is_not_finite_is_refused_by_its_field(base: Any, options: Any, field: str) -> None:
    with pytest.raises(click.UsageError, match=f"{field}; it must be a finite number"):
        request(base, options)


def test_two_lengths_of_training_are_refused() -> None:
    with pytest.raises(click.UsageError, match="--epochs and --steps both say how long to train"):
        request({}, {"epochs": 2, "steps": 5})


@pytest.mark.parametrize(
    ("options", "option"),
    [({"depth": 3}, "--depth"), ({"set_values": ("network.depth=3",)}, "--set network.depth")],
)
def test_an_option_for_a_field_that_is_swept_is_refused(options: dict[str, Any], option: str) -> None:
    with pytest.raises(click.UsageError, match=f"{option} and the sweep both set network.depth"):
        request({}, {**options, "sweep": ("network.depth=2,4",)})


@pytest.mark.parametrize(
    "text", ["leaky_relu(0.1)", "leaky_relu(negative_slope=0.1", "relu)", "elu(alpha=)", "elu(=1)"]
)
def test_an_activation_that_cannot_be_read_is_refused_with_the_right_form(text: str) -> None:
    with pytest.raises(click.UsageError) as refused:
        request({}, {"activations": f"relu,{text}"})

    assert text in refused.value.message
    assert "leaky_relu(negative_slope=0.1)" in refused.value.message
