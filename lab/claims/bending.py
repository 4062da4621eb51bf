"""C2: ReLU looks linear, but it is not: it bends."""

from __future__ import annotations

from functools import cache

import numpy as np

from lab.catalog.activations import ACTIVATIONS
from lab.claims.claim import Claim, Part, Sample
from lab.claims.evidence import Evidence
from lab.claims.networks import SEED, Network, draw
from lab.theory.breakpoints import breakpoints, distinct_breakpoints, expected_breakpoints
from lab.theory.gaussian import Array
from lab.theory.scales import Scale

N_NETWORKS = 40
N_INPUTS, WIDTH, DEPTH = 8, 256, 3
# He's weights; without biases a network would bend at one point only of a line through the origin.
_SCALE = Scale(sigma_w2=2.0, sigma_b2=0.5)


def _not_additive(_: Evidence) -> list[Sample]:
    relu = ACTIVATIONS["relu"].phi
    gap = relu(np.array(-1.0)) + relu(np.array(1.0)) - relu(np.array(0.0))
    return [Sample("relu(-1) + relu(1) - relu(-1 + 1)", {0: float(gap)}, exact=True)]


def _not_homogeneous(_: Evidence) -> list[Sample]:
    # Powers of two scale without rounding.
    h, factors = np.linspace(-4, 4, 257), 2.0 ** np.arange(-8, 9)[:, None]
    relu = ACTIVATIONS["relu"].phi
    gap = np.abs(relu(factors * h) - factors * relu(h)).max()
    return [Sample("largest |relu(a h) - a relu(h)|, a > 0", {0: float(gap)}, exact=True)]


def _counts(_: Evidence) -> list[Sample]:
    excesses = [_measured(replicate)[0] for replicate in range(N_NETWORKS)]
    return [Sample(f"layer {i + 1}", dict(enumerate(excess[i] for excess in excesses))) for i in range(DEPTH)]


def _affine_between(_: Evidence) -> list[Sample]:
    return [Sample("largest over all pieces", {i: _measured(i)[1] for i in range(N_NETWORKS)})]


@cache
def _measured(replicate: int) -> tuple[tuple[float, ...], float]:
    """Of one random network along one segment: for each layer, breakpoints found over expected, minus 1; and by how
    much the middle of a piece misses the mean of two points beside it, over the network's range, at most.
    """
    rng = np.random.default_rng((SEED, replicate, 1))
    a, b = rng.normal(size=(2, N_INPUTS))
    network = draw("relu", (N_INPUTS, *[WIDTH] * DEPTH, 1), _SCALE, replicate=replicate)
    found = breakpoints(network.activation, network.weights[:-1], network.biases[:-1], a, b)
    expected = expected_breakpoints([_SCALE] * DEPTH, width=WIDTH, a=a, b=b)
    excess = tuple(len(here) / count - 1 for here, count in zip(found, expected, strict=True))
    knots = np.concatenate([[0.0], distinct_breakpoints(found), [1.0]])
    left, right = knots[:-1] * 0.75 + knots[1:] * 0.25, knots[:-1] * 0.25 + knots[1:] * 0.75
    middle = _along(network, a, b, (left + right) / 2)
    beside = (_along(network, a, b, left) + _along(network, a, b, right)) / 2
    return excess, float(np.abs(middle - beside).max() / np.ptp(middle))


def _along(network: Network, a: Array, b: Array, t: Array) -> Array:
    return network(a + t[:, None] * (b - a))


CLAIM = Claim(
    name="C2",
    title="ReLU is not linear, but bends",
    sentence="ReLU looks linear, but it is not: it bends, and so do networks of it.",
    stages=(),
    parts=(
        Part(
            name="not_additive",
            statement="ReLU is not linear: relu(x) + relu(y) is not relu(x + y).",
            effect="relu(-1) + relu(1) - relu(0); 0 for a linear function.",
            direction="above",
            sesoi=1e-9,
            explanation="A linear function has f(x) + f(y) = f(x + y) everywhere. One counterexample is enough.",
            would_change="Nothing: it is arithmetic.",
            figure="",
            samples=_not_additive,
        ),
        Part(
            name="not_homogeneous",
            statement="It has nothing of a linear function: relu(a h) is not a relu(h), not even for positive a.",
            effect="The largest |relu(a h) - a relu(h)| over h from -4 to 4 and positive a.",
            direction="above",
            sesoi=1e-9,
            explanation="ReLU is positively homogeneous: it scales as a linear function does, and fails only at "
            "adding. That is why a ReLU network without biases only changes scale when its weights do.",
            would_change="Negative factors: relu(-h) is not -relu(h).",
            figure="",
            samples=_not_homogeneous,
        ),
        Part(
            name="counts",
            statement="Along a line through its inputs a random ReLU network bends as often as theory says, in every "
            "layer.",
            effect="Breakpoints counted exactly over those expected by Kac and Rice, minus 1; "
            f"{DEPTH} layers of {WIDTH} units, He's weights, biases of variance 0.5, {N_NETWORKS} networks.",
            direction="within",
            sesoi=0.1,
            explanation="A breakpoint is where some unit switches on or off. Each is solved for, not searched on a "
            "grid. A smooth activation, such as tanh, has none: for it the question has no meaning, and the answer "
            "is not 0.",
            would_change="Narrow layers, or weights that training has made dependent.",
            figure="",
            samples=_counts,
        ),
        Part(
            name="affine_between",
            statement="Between its breakpoints the network is affine: a line, piece by piece.",
            effect="Largest distance of the middle of a piece from the mean of its two sides, over the network's "
            "range on the segment, in double precision.",
            direction="within",
            sesoi=1e-9,
            explanation="Where no unit switches, every layer is an affine map, and so is the whole. All bending is "
            "at the breakpoints.",
            would_change="An activation that is curved.",
            figure="",
            samples=_affine_between,
        ),
    ),
)
