"""What is measured on the probe, per run, recorded step and hidden layer. Each name is a column of `measurements`.

Shapes: h, x, delta are (M, N), samples by units; h is the input of the activation phi, x its output, before a norm that
follows it and before a residual; delta is the gradient of ONE sample's loss at the affine map's output.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Recorded:
    """What was measured: name to values, one a row; each row's step, and whether it is the last one of its run."""

    columns: Mapping[str, NDArray[np.float64]]
    step: NDArray[np.int64]
    last: NDArray[np.bool_]


Where = NDArray[np.bool_] | bool
"""Of each row, or of all."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """`undefined` says when the value is null by definition, and `is_undefined` where: a null elsewhere gets a reason
    of its own.
    """

    name: str
    definition: str
    undefined: str = ""
    is_undefined: Callable[[Recorded], Where] = lambda _: False


def _for_some_runs(_: Recorded) -> Where:
    # What a run's activation or data set leaves undefined is so at every step.
    return True


def _at_the_start(recorded: Recorded) -> Where:
    first: NDArray[np.bool_] = recorded.step == 0
    return first


def _without_an_update(recorded: Recorded) -> Where:
    zero: NDArray[np.bool_] = (recorded.columns["weight_norm"] == 0) | (recorded.step == 0)
    return zero


def _without_a_rank(recorded: Recorded) -> Where:
    nothing: NDArray[np.bool_] = (recorded.columns["activation_mean"] == 0) & (recorded.columns["activation_std"] == 0)
    return nothing | ((recorded.step > 0) & ~recorded.last)


GEOMETRY = ("affinity_residual", "breakpoints", "piece_residual")
"""Measurements that only a request with `recording.geometry` gets."""

_UNLESS_ASKED = (
    "unless recording.geometry asks for it, between step 0 and the last step, with a norm or residual branches"
)

MEASUREMENTS: dict[str, Measurement] = {
    entry.name: entry
    for entry in (
        Measurement("preactivation_mean", "Mean over all entries of h."),
        Measurement("preactivation_std", "Standard deviation over all entries of h."),
        Measurement("activation_mean", "Mean over all entries of x."),
        Measurement("activation_std", "Standard deviation over all entries of x."),
        Measurement(
            "activation_std_within",
            "Mean over units of the standard deviation of x over samples: the signal that is left.",
        ),
        Measurement(
            "dead_fraction",
            "Share of units with phi'(h) exactly 0, in the training dtype, on every probe input: no gradient can reach "
            "the unit's weights.",
        ),
        Measurement("inactive_fraction", "Share of units with |x| = 0 on every probe input."),
        Measurement(
            "saturated_fraction",
            "Share of entries with |phi'(h)| < 0.05 sup|phi'|.",
            "where sup|phi'| is infinite",
            _for_some_runs,
        ),
        Measurement(
            "stuck_fraction",
            "Share of units saturated on every probe input.",
            "where sup|phi'| is infinite",
            _for_some_runs,
        ),
        Measurement(
            "dormant_fraction",
            "Share of units whose mean |x| over samples is at most 0.025 of the layer's mean of it "
            "(Sokar et al. 2023).",
        ),
        Measurement(
            "delta_norm",
            "Root mean square over samples of the norm of the per-sample gradient dL/dz: the quantity whose "
            "layer-to-layer ratio theory predicts.",
        ),
        Measurement("weight_gradient_norm", "Frobenius norm of the probe-mean gradient dL/dW."),
        Measurement("weight_gradient_rms", "Root mean square of the entries of the probe-mean dL/dW."),
        Measurement("weight_gradient_mean", "Mean of the entries of the probe-mean dL/dW."),
        Measurement("weight_gradient_std", "Standard deviation of the entries of the probe-mean dL/dW."),
        Measurement("zero_gradient_fraction", "Share of entries of the probe-mean dL/dW that are exactly 0."),
        Measurement("bias_gradient_norm", "Norm of the probe-mean gradient dL/db."),
        Measurement("weight_norm", "Frobenius norm of W."),
        Measurement(
            "update_ratio",
            "Norm of the last optimizer update of W over weight_norm.",
            "at step 0, and where weight_norm is 0",
            _without_an_update,
        ),
        Measurement(
            "effective_rank",
            "exp(-sum p ln p), p the singular values of x over their sum (Roy and Vetterli 2007).",
            "between step 0 and the last step, and where x is 0 everywhere",
            _without_a_rank,
        ),
        Measurement(
            "affinity_residual",
            "Largest |f(x + y) - f(x) - f(y) + f(0)| over the largest |f|, f the outputs of the affine map above the "
            "layer, which of the last layer is the network: 0 where it is affine. Over 256 pairs of probe inputs, in "
            "double precision.",
            _UNLESS_ASKED,
            _for_some_runs,
        ),
        Measurement(
            "breakpoints",
            "How often units of the layer pass a kink of the activation along a segment between two probe inputs: "
            "solved for exactly, a mean over 8 segments.",
            f"{_UNLESS_ASKED}, and of smooth activations",
            _for_some_runs,
        ),
        Measurement(
            "piece_residual",
            "Between neighbouring breakpoints of all layers on those segments, the largest distance of the middle of "
            "a piece from the mean of two points beside it, over the range of the outputs on the segment: 0 where "
            "every piece is affine. Of the affine map above the layer, in double precision.",
            f"{_UNLESS_ASKED}, and of smooth activations",
            _for_some_runs,
        ),
    )
}

CURVES: dict[str, Measurement] = {
    entry.name: entry
    for entry in (
        Measurement("train_loss", "Mean minibatch loss since the last recorded step.", "at step 0", _at_the_start),
        Measurement("probe_loss", "Mean loss on the probe."),
        Measurement("test_loss", "Mean loss on the test set; batch norm uses its running statistics."),
        Measurement("test_accuracy", "Share of test samples classified correctly.", "for regression", _for_some_runs),
    )
}

DERIVED: dict[str, Measurement] = {
    entry.name: entry
    for entry in (
        Measurement("loss_auc", "Mean minibatch loss over all steps."),
        Measurement("units_died", "Hidden units dead at the end and not at step 0."),
        Measurement("units_revived", "Hidden units dead at one recorded step and alive at a later one."),
        Measurement(
            "revived_share",
            "Of the hidden units that were dead at some recorded step, the share that was alive at a later one.",
            "where no unit was dead",
        ),
        Measurement(
            "gradient_ratio",
            "Factor by which the square of delta_norm changes from a layer to the one below it, towards the input: "
            "the geometric mean over layers, (delta_norm[1]^2 / delta_norm[L]^2)^(1/(L-1)).",
            "with one hidden layer, and where a norm is 0",
        ),
    )
}
"""Numbers of a run that follow from what is recorded. Only `gradient_ratio` depends on the step, and only
`revived_share` on the layer.
"""
