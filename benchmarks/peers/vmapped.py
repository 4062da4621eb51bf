"""JAX: the networks of an activation under `vmap`, the steps in a compiled loop, all of it under `jit`.

The loop's bounds are arguments, so one program trains from any recorded step to the next; the data order is drawn up
front and lies on the device. Layers are a Python loop, unrolled by the compiler.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from numpy.typing import NDArray

from benchmarks.draws import Samples, batch_rows, initial_layers, samples
from benchmarks.job import Recorded, Trained
from benchmarks.workloads import planned
from lab.catalog.activations import ACTIVATIONS
from lab.catalog.measurements import CURVES, GEOMETRY, MEASUREMENTS
from lab.plan import Stack
from lab.spec import ExperimentSpec

# For the ranks and the sums of losses; all else stays in float32, as its arrays are.
jax.config.update("jax_enable_x64", True)

Array = Any
Theta = list[tuple[Array, Array]]
Phi = Callable[[Array], Array]

PHIS: dict[str, Phi] = {
    "relu": jax.nn.relu,
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    "gelu": partial(jax.nn.gelu, approximate=False),
}


def pieces(spec: ExperimentSpec) -> Sequence[Stack]:
    """A piece for each activation."""
    samples(spec.recording.probe_size)
    plan = planned(spec)
    runs = [run for stack in plan.stacks for run in stack.runs]
    groups = [tuple(run for run in runs if run.arm == arm) for arm in plan.arms]
    return [Stack(i, group, spec.seed, spec.recording) for i, group in enumerate(groups)]


def train(stack: Stack, *, recording: bool, device: str) -> Trained:
    if device != "cpu":
        raise ValueError(f"The JAX peer is installed for the cpu; given {device!r}.")
    theta, rows = _theta(stack), _rows(stack)
    started = time.perf_counter()
    programs = _compiled(stack, samples(stack.probe_size), theta, rows)
    compile_s = time.perf_counter() - started
    if not recording:
        jax.block_until_ready(programs.advance(theta, rows, 0, stack.recorded_steps[-1]))
        return Trained({}, compile_s)
    return Trained(_record_all(stack, programs, theta, rows), compile_s)


@dataclass(frozen=True, slots=True)
class Programs:
    """Compiled: `advance(theta, rows, start, stop)`, `read(theta)`, `rank(theta)`, `norms(theta, theta)`."""

    advance: Callable[..., tuple[Theta, Array]]
    read: Callable[[Theta], dict[str, Array]]
    rank: Callable[[Theta], Array]
    update_norms: Callable[[Theta, Theta], Array]


def _compiled(stack: Stack, data: Samples, theta: Theta, rows: Array) -> Programs:
    activation = stack.shape.activation
    phi = PHIS[activation.name]
    supremum = ACTIVATIONS[activation.name].supremum(**dict(activation.parameters))
    advance = partial(_advance, phi, stack.shape.training.learning_rate, data)
    return Programs(
        jax.jit(advance).lower(theta, rows, 0, 0).compile(),
        jax.jit(lambda t: lax.map(partial(_read, phi, supremum, data), t)).lower(theta).compile(),
        jax.jit(lambda t: lax.map(partial(_ranks, phi, data), t)).lower(theta).compile(),
        jax.jit(jax.vmap(_update_norms)).lower(theta, theta).compile(),
    )


def _record_all(stack: Stack, programs: Programs, theta: Theta, rows: Array) -> Recorded:
    last = stack.recorded_steps[-1]
    readings: list[dict[str, NDArray[np.float64]]] = []
    step = 0
    for recorded in stack.recorded_steps:
        before, loss = theta, jnp.full(len(stack.runs), jnp.nan)
        if recorded > step:
            # The last update apart: its size is the difference that it makes.
            before, sum_before = programs.advance(theta, rows, step, recorded - 1)
            theta, sum_last = programs.advance(before, rows, recorded - 1, recorded)
            loss = (sum_before + sum_last) / (recorded - step)
        reading = programs.read(theta)
        undefined = jnp.full_like(reading["delta_norm"], jnp.nan)
        reading |= dict.fromkeys(GEOMETRY, undefined)
        rank = programs.rank(theta) if recorded in (0, last) else undefined
        update = programs.update_norms(before, theta) if recorded else jnp.nan
        ratio = update / reading["weight_norm"]
        readings.append(jax.device_get(reading | {"train_loss": loss, "effective_rank": rank, "update_ratio": ratio}))
        step = recorded
    return {name: np.stack([reading[name] for reading in readings]) for name in (*MEASUREMENTS, *CURVES)}


def _outputs(phi: Phi, theta: Theta, x: Array) -> Array:
    """One network: x (B, D) to (B, C)."""
    for w, b in theta[:-1]:
        x = phi(x @ w.T + b)
    w, b = theta[-1]
    return x @ w.T + b


def _losses(outputs: Array, y: Array) -> Array:
    """Each sample's cross-entropy, (B,)."""
    of_class = jnp.take_along_axis(outputs, y[:, None], axis=1)[:, 0]
    return jax.nn.logsumexp(outputs, axis=1) - of_class


def _advance(phi: Phi, rate: float, data: Samples, theta: Theta, rows: Array, start: Array, stop: Array) -> Any:
    """From `start` to `stop` updates; also the sum of the minibatch losses, (R,) float64. rows: (steps, R, B)."""
    x, y = jnp.asarray(data.x_train), jnp.asarray(data.y_train)

    def mean_loss(of_one: Theta, chosen: Array) -> Array:
        return _losses(_outputs(phi, of_one, x[chosen]), y[chosen]).mean()

    gradients = jax.vmap(jax.value_and_grad(mean_loss))

    def update(step: Array, state: tuple[Theta, Array]) -> tuple[Theta, Array]:
        theta, total = state
        losses, gradient = gradients(theta, rows[step])
        theta = jax.tree.map(lambda t, g: t - np.float32(rate) * g, theta, gradient)
        return theta, total + losses.astype(jnp.float64)

    return lax.fori_loop(start, stop, update, (theta, jnp.zeros(rows.shape[1], jnp.float64)))


def _probed(phi: Phi, data: Samples, theta: Theta) -> tuple[Array, Array, Array, Array, list[tuple[Array, Array]]]:
    """One network's h, x and delta, each (L, B, N), the losses (B,), and the probe-mean gradients of W and b."""

    def total(theta: Theta, shifts: list[Array]) -> tuple[Array, tuple[list[Array], list[Array], Array]]:
        h, x = [], [data.x_probe]
        for (w, b), shift in zip(theta[:-1], shifts, strict=True):
            h.append(x[-1] @ w.T + b + shift)
            x.append(phi(h[-1]))
        w, b = theta[-1]
        losses = _losses(x[-1] @ w.T + b, data.y_probe)
        return losses.sum(), (h, x[1:], losses)

    # The gradient by a shift of 0 is the gradient by h.
    shifts = [jnp.zeros((len(data.x_probe), w.shape[0]), w.dtype) for w, _ in theta[:-1]]
    (gradient, delta), (h, x, losses) = jax.grad(total, argnums=(0, 1), has_aux=True)(theta, shifts)
    means = [(d_w / len(losses), d_b / len(losses)) for d_w, d_b in gradient[:-1]]
    return jnp.stack(h), jnp.stack(x), jnp.stack(delta), losses, means


def _read(phi: Phi, supremum: float, data: Samples, theta: Theta) -> dict[str, Array]:
    """One network: measurements (L,) and curves ()."""
    h, x, delta, losses, gradients = _probed(phi, data, theta)
    slope = jnp.abs(jax.jvp(phi, (h,), (jnp.ones_like(h),))[1])
    outputs = _outputs(phi, theta, data.x_test)
    values = _of_units(h, x, slope, np.float32(0.05 * supremum))
    values["delta_norm"] = jnp.sqrt(_sum_squares(delta) / delta.shape[1])
    of_weights = [_of_weights(w, d_w, d_b) for (w, _), (d_w, d_b) in zip(theta[:-1], gradients, strict=True)]
    values |= {name: jnp.stack([each[name] for each in of_weights]) for name in of_weights[0]}
    return values | {
        "probe_loss": losses.mean(),
        "test_loss": _losses(outputs, data.y_test).mean(),
        "test_accuracy": (outputs.argmax(1) == data.y_test).mean(),
    }


def _of_units(h: Array, x: Array, slope: Array, threshold: np.float32) -> dict[str, Array]:
    """From h, x and slope, each (L, B, N)."""
    size = jnp.abs(x)
    mean_size = size.mean(1)
    steepest = slope.max(1)
    return {
        "preactivation_mean": h.mean((1, 2)),
        "preactivation_std": h.std((1, 2)),
        "activation_mean": x.mean((1, 2)),
        "activation_std": x.std((1, 2)),
        "activation_std_within": x.std(1).mean(1),
        "inactive_fraction": (size.max(1) == 0).mean(1),
        "dormant_fraction": (mean_size <= 0.025 * (mean_size.mean(1, keepdims=True) + 1e-9)).mean(1),
        "dead_fraction": (steepest == 0).mean(1),
        "saturated_fraction": (slope < threshold).mean((1, 2)),
        "stuck_fraction": (steepest < threshold).mean(1),
    }


def _of_weights(w: Array, d_w: Array, d_b: Array) -> dict[str, Array]:
    mean, norm = d_w.mean(), jnp.sqrt(_sum_squares(d_w))
    return {
        "weight_gradient_norm": norm,
        "weight_gradient_rms": norm / d_w.size**0.5,
        "weight_gradient_mean": mean,
        "weight_gradient_std": d_w.std(),
        "zero_gradient_fraction": (d_w == 0).mean(),
        "bias_gradient_norm": jnp.sqrt(_sum_squares(d_b)),
        "weight_norm": jnp.sqrt(_sum_squares(w)),
    }


def _ranks(phi: Phi, data: Samples, theta: Theta) -> Array:
    """(L,): one network's effective ranks, by the eigenvalues of the smaller Gram matrix, as the engine has them."""
    _, x, _, _, _ = _probed(phi, data, theta)
    x = x.astype(jnp.float64)
    gram = x.mT @ x if x.shape[1] >= x.shape[2] else x @ x.mT
    squares = jnp.linalg.eigvalsh(gram)
    noise = squares[:, -1:] * (squares.shape[1] * jnp.finfo(jnp.float64).eps)
    s = jnp.sqrt(jnp.where(squares > noise, squares, 0.0))
    p = s / s.sum(1, keepdims=True)
    return jnp.exp(jax.scipy.special.entr(p).sum(1))


def _update_norms(before: Theta, after: Theta) -> Array:
    """(L,): one network's."""
    return jnp.stack([jnp.sqrt(_sum_squares(b - a)) for (a, _), (b, _) in zip(before[:-1], after[:-1], strict=True)])


def _sum_squares(t: Array) -> Array:
    """Over all axes of a matrix or vector, over all but the first of a stack of layers."""
    return jnp.square(t).sum((1, 2) if t.ndim == 3 else None)


def _theta(stack: Stack) -> Theta:
    """W (R, N_out, N_in) and b (R, N_out) of each layer."""
    networks = [initial_layers(run, stack.seed) for run in stack.runs]
    return [
        (jnp.stack([w for w, _ in layer]), jnp.stack([b for _, b in layer])) for layer in zip(*networks, strict=True)
    ]


def _rows(stack: Stack) -> Array:
    """(steps, R, B)."""
    return jnp.asarray(np.stack([batch_rows(run, stack.seed) for run in stack.runs], axis=1), jnp.int32)
