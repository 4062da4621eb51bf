"""What a run costs: operations, memory and rows, as whole numbers of any size, before anything is allocated."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.plan import Arm
    from lab.spec import RecordingSpec

_BYTES = {"float32": 4, "float64": 8}
_MOMENTS = {"sgd": 0, "momentum": 1, "adam": 2, "adamw": 2, "rmsprop": 1}
# The engine measures this many numbers of a layer at once, or one network where that is more.
_PROBE_NUMBERS = 2**18
# Of a singular value decomposition of an m x n matrix, m >= n: about this many times m n^2 operations.
_SVD = 8
# Along a segment a network is worked out at four points for each bend, of which a unit has about one; 8 segments.
_BENDS = 2 * 8 * 4


def n_points(arm: Arm, recording: RecordingSpec) -> int:
    """Recorded steps of a run, which may be shorter than was asked for."""
    return min(recording.points, arm.steps + 1)


def flops(arm: Arm, recording: RecordingSpec) -> int:
    """Floating-point operations of one run: training, and at each recorded step the probe and the test set.

    2 per parameter and sample forward, 4 backward; two singular value decompositions a layer; and, where it is asked
    for, how the network bends, twice.
    """
    probe, points, width = arm.probe_size, n_points(arm, recording), arm.network.width
    passes = 6 * arm.steps * arm.batch_size + points * (6 * probe + 2 * arm.sizes[1])
    ranks = 2 * arm.network.depth * _SVD * probe * width * min(probe, width)
    bends = 2 * _BENDS * arm.network.depth * width if recording.geometry else 0
    return arm.n_parameters * (passes + bends) + ranks


def memory_bytes(arm: Arm, *, n_runs: int = 1) -> int:
    """What a stack of such runs keeps in memory while it trains: its data, parameters, gradients, moments, buffers."""
    network = arm.network
    layer, inputs = arm.batch_size * network.width, arm.batch_size * arm.n_inputs
    handed_on = network.residual or network.normalization == "batch_after"
    kept = 2 + handed_on + (network.normalization != "none")
    each = arm.n_parameters * (3 + _MOMENTS[arm.training.optimizer]) + layer * (kept * network.depth + 2) + inputs
    probed = max(_PROBE_NUMBERS, arm.probe_size * network.width) * (kept * network.depth + 4)
    return data_bytes(arm) + _BYTES[arm.training.dtype] * (n_runs * each + probed)


def data_bytes(arm: Arm) -> int:
    """The data set as it is loaded, in float64, and the copy to train on, which a whole stack shares."""
    return sum(arm.sizes) * (arm.n_inputs + arm.n_outputs) * (8 + _BYTES[arm.training.dtype])


def rows(arm: Arm, recording: RecordingSpec) -> int:
    """Measurements that one run stores: one a recorded step and layer."""
    return n_points(arm, recording) * arm.network.depth
