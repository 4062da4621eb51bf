"""A stack's training, from its first draws to how each run ended."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lab.catalog.measurements import CURVES, MEASUREMENTS
from lab.plan import Stack
from lab.records import RunResult, StackRecord
from worker.engine.activations import Activations
from worker.engine.batches import Batches
from worker.engine.data import Data
from worker.engine.evaluation import Evaluation
from worker.engine.geometry import Geometry
from worker.engine.health import Health
from worker.engine.initialization import initialize
from worker.engine.losses import LOSSES
from worker.engine.network import Buffers, Pass
from worker.engine.norm import RunningStatistics
from worker.engine.optimizers import Optimizer
from worker.engine.parameters import Parameters, Shape
from worker.engine.probe import Probe

_DTYPES = {"float32": torch.float32, "float64": torch.float64}
# A network may diverge. PyTorch says nothing of numbers that are not finite, and NumPy shall not, either.
_SILENT = np.errstate(all="ignore")


class StackTraining:
    """M networks of one shape, trained as one tensor program on `device`.

    Call `advance_to` and `record` in turn at the stack's recorded steps, then `results`. A network whose minibatch loss
    is not finite is frozen from that update on; its neighbours' numbers are the same bits as if it were well.
    """

    def __init__(self, stack: Stack, data: Data, probe: NDArray[np.int64], *, device: torch.device) -> None:
        arm, dtype = stack.shape, _DTYPES[stack.shape.training.dtype]
        x_train, y_train = _tensors(data.x_train, data.y_train, dtype, device)
        classification = arm.data.task == "classification"
        self._stack, self._device, self._classification = stack, device, classification
        self._recorded_steps = frozenset(stack.recorded_steps)
        self._batch_size = arm.batch_size
        self._loss = LOSSES[arm.data.task]
        self._batches = Batches(
            x_train,
            y_train,
            batch_size=arm.batch_size,
            replicates=[run.replicate for run in stack.runs],
            seed=stack.seed,
        )
        self._build_networks(stack, dtype)
        self._build_measuring(data, x_train[probe], y_train[probe], dtype)
        self._geometry = Geometry(stack, x_train[probe])
        self._begin()

    def _build_networks(self, stack: Stack, dtype: torch.dtype) -> None:
        shape, device = Shape.of(stack), self._device
        self._activations = Activations([run.arm.activation for run in stack.runs])
        self._parameters = Parameters(shape, dtype=dtype, device=device)
        self._gradients = self._parameters.alike()
        initialize(self._parameters, stack.runs, stack.seed)
        self._optimizer = Optimizer(stack, self._parameters, self._gradients)
        buffers = Buffers(
            shape,
            self._batch_size,
            dtype=dtype,
            device=device,
            measured=False,
            keeps_h=self._activations.need_h,
        )
        self._pass = Pass(buffers, self._batches.x, self._parameters.layers, self._gradients.layers, self._activations)
        self._running = RunningStatistics.of(shape, self._parameters.layers)

    def _build_measuring(self, data: Data, x_probe: Tensor, y_probe: Tensor, dtype: torch.dtype) -> None:
        self._probe = Probe(
            x_probe,
            y_probe,
            activations=self._activations,
            loss=self._loss,
            parameters=self._parameters,
            gradients=self._gradients,
        )
        self._evaluate = Evaluation(
            *_tensors(data.x_test, data.y_test, dtype, self._device),
            activations=self._activations,
            loss=self._loss,
            classification=self._classification,
        )

    def _begin(self) -> None:
        shape, device = self._parameters.shape, self._device
        m = shape.n_networks
        self.step = 0
        self._recorded_at = -1
        self._alive = torch.ones(m, dtype=torch.bool, device=device)
        # Updates that each network had done when it diverged.
        self._n_updates = torch.zeros(m, dtype=torch.int64, device=device)
        # Sums of the minibatch loss since the last recorded step, and before it.
        self._loss_since = torch.zeros(m, dtype=torch.float64, device=device)
        self._loss_before = torch.zeros(m, dtype=torch.float64, device=device)
        self._update_norms = torch.full((m, shape.depth), torch.nan, dtype=torch.float64, device=device)
        self._last_curves = torch.full((len(CURVES), m), torch.nan, dtype=torch.float64, device=device)
        self._health = Health(m, shape.depth, shape.width, device=device)

    @torch.inference_mode()
    @_SILENT
    def advance_to(self, step: int) -> None:
        """Train until `step` updates are done."""
        if not self._alive.any():
            self.step = max(self.step, step)
        while self.step < step:
            self._update()
            self.step += 1

    @torch.inference_mode()
    @_SILENT
    def record(self) -> StackRecord:
        """Measure the stack at the present step. To be called once at each recorded step, in order."""
        first, last = self.step == 0, self.step == self._stack.recorded_steps[-1]
        reading = self._probe.read(self._update_norms, with_rank=first or last)
        values = reading.measurements | self._geometry.read(
            self._parameters.layers, self._alive, at_an_end=first or last
        )
        curves = self._read_curves(reading.loss)
        health, readable = self._health, self._alive & reading.is_finite()
        changes = health.start(reading.dead) if first else health.update(reading.dead, readable)
        torch.where(self._alive, curves, self._last_curves, out=self._last_curves)
        self._loss_before += self._loss_since
        self._loss_since.zero_()
        self._recorded_at = self.step
        return StackRecord(
            step=self.step,
            measurements={name: self._shown(values[name]) for name in MEASUREMENTS},
            curves={name: self._shown(curves[i]) for i, name in enumerate(CURVES)},
            diverged_at=self._diverged_at(),
            died=changes.died.cpu().numpy(),
            revived=changes.revived.cpu().numpy(),
        )

    def results(self) -> tuple[RunResult, ...]:
        """How each run ended, in the stack's order. To be called after the last record."""
        loss_auc = (self._loss_before / self.step).tolist()
        curves: list[dict[str, Any]] = [
            dict(zip(CURVES, map(_finite, values), strict=True)) for values in self._last_curves.T.tolist()
        ]
        units = self._health.by_network()
        return tuple(
            RunResult(
                diverged_at=step if step >= 0 else None,
                loss_auc=_finite(loss_auc[m]) if step < 0 else None,
                **curves[m],
                **units[m],
            )
            for m, step in enumerate(self._diverged_at().tolist())
        )

    def state(self) -> dict[str, Tensor]:
        """A copy, on the CPU, of everything that is needed to go on with the same bits."""
        counts = torch.tensor([self.step, self._recorded_at])
        return {"counts": counts} | {name: tensor.to("cpu", copy=True) for name, tensor in self._kept().items()}

    @torch.inference_mode()
    def restore(self, state: dict[str, Tensor]) -> None:
        """Go on from what `state` gave, in a training of the same stack."""
        self.step, self._recorded_at = state["counts"].tolist()
        for name, tensor in self._kept().items():
            tensor.copy_(state[name])

    def _kept(self) -> dict[str, Tensor]:
        kept = {
            "parameters": self._parameters.flat,
            "alive": self._alive,
            "n_updates": self._n_updates,
            "loss_since": self._loss_since,
            "loss_before": self._loss_before,
            "update_norms": self._update_norms,
            "last_curves": self._last_curves,
            "dead_units": self._health.masks,
        }
        kept |= {f"moments.{i}": moments.flat for i, moments in enumerate(self._optimizer.moments)}
        if self._running is not None:
            kept["running_statistics"] = self._running.values
        return kept

    def _update(self) -> None:
        _, y = self._batches.at(self.step)
        losses, d_outputs = self._loss(self._pass.forward(), y)
        self._count(losses.mean(1, dtype=torch.float64))
        d_outputs.div_(self._batch_size)
        self._pass.backward()
        if self._all_alive():
            self._optimizer.step(self.step + 1)
        else:
            self._optimizer.step_alive(self.step + 1, self._alive)
        if self._running is not None:
            self._running.update(self._pass.buffers.norms, self._batch_size, self._alive)
        if self.step + 1 in self._recorded_steps:
            self._update_norms.copy_(self._optimizer.update_norms())

    def _count(self, loss: Tensor) -> None:
        """loss: (M,) float64, of the update that is being made."""
        self._loss_since += loss
        # A sum is quickly asked whether all of it is finite. A GPU is not asked: it would wait at every step.
        if self._device.type == "cpu" and math.isfinite(loss.sum().item()):
            return
        diverging = self._alive & ~loss.isfinite()
        self._n_updates.masked_fill_(diverging, self.step)
        self._alive &= ~diverging

    def _all_alive(self) -> bool:
        """Whether the plain update will do. Asking a GPU would make it wait at every step: there the answer is no."""
        return self._device.type == "cpu" and bool(self._alive.all())

    def _read_curves(self, probe_loss: Tensor) -> Tensor:
        """(4, M), in the catalog's order."""
        test_loss, test_accuracy = self._evaluate(self._parameters, self._running)
        # 0 / 0 at step 0: undefined, as the catalog says.
        train_loss = self._loss_since / max(self.step - self._recorded_at, 1) if self.step else probe_loss * torch.nan
        values = {
            "train_loss": train_loss,
            "probe_loss": probe_loss,
            "test_loss": test_loss,
            "test_accuracy": test_accuracy,
        }
        return torch.stack([values[name] for name in CURVES])

    def _shown(self, values: Tensor) -> NDArray[np.float64]:
        """What is reported of `values`, (M,) or (M, L): nothing of a network that has diverged."""
        alive = self._alive if values.dim() == 1 else self._alive[:, None]
        shown: NDArray[np.float64] = torch.where(alive, values, torch.nan).cpu().numpy()
        return shown

    def _diverged_at(self) -> NDArray[np.int64]:
        """(M,): the update at which the loss was not finite, counted from 1; -1 where it always was."""
        diverged_at: NDArray[np.int64] = torch.where(self._alive, -1, self._n_updates + 1).cpu().numpy()
        return diverged_at


def _tensors(
    x: NDArray[np.float64], y: NDArray[np.generic], dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Inputs, and targets that are values, in the training dtype; classes stay whole numbers.

    Always copies: the last bits of a matrix product depend on how memory is aligned, and NumPy's is not always alike.
    """
    inputs, targets = torch.from_numpy(x), torch.from_numpy(y)
    dtype_y = dtype if targets.is_floating_point() else targets.dtype
    return inputs.to(device, dtype, copy=True), targets.to(device, dtype_y, copy=True)


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
