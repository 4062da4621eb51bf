"""C6: ReLU units can die."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lab.claims.claim import Asked, Claim, Clause, Effort, Part, Sample, Stage
from lab.claims.evidence import Evidence, Reading, minus
from lab.claims.lives import DEATHS, DIED, REVIVALS, REVIVED, came_back, died
from lab.claims.settings import EPOCHS, JUDGED, PROBE, TUNED, on_digits
from lab.claims.tuning import RATE, SCORE, TUNING_SEED, tuned
from lab.plan import Arm
from lab.spec import ExperimentSpec, TrainingSpec

MULTIPLES: Mapping[str, tuple[float, ...]] = {"sgd": (1.0, 3.0), "adam": (1.0, 3.0, 10.0)}
"""Learning rates that are judged, in multiples of the one that is best for ReLU. Beyond them too many networks of
every activation diverge under plain descent for anything to be said.
"""
GRIDS: Mapping[str, Mapping[Effort, tuple[float, ...]]] = {
    "sgd": {"full": (0.05, 0.1, 0.2, 0.3, 0.5, 0.8), "quick": (0.1, 0.3, 0.6)},
    "adam": {"full": (0.0003, 0.001, 0.003, 0.01, 0.03), "quick": (0.001, 0.005, 0.02)},
}

INITIALIZATIONS = ("he_normal", "rai")
"""The usual one for ReLU, and one that was made to keep its units alive (Lu et al. 2020)."""

_END = Reading("dead_fraction", "last")
_ACCURACY = Reading("test_accuracy")


def _tuning(effort: Effort, _: Evidence) -> Mapping[str, Asked]:
    return {
        f"tuning: {optimizer}": Asked(
            _spec(
                "relu",
                effort=effort,
                optimizer=optimizer,
                replicates=TUNED[effort],
                seed=TUNING_SEED,
                sweep=((RATE, grids[effort]),),
            ),
            (SCORE, _ACCURACY),
        )
        for optimizer, grids in GRIDS.items()
    }


def _judging(effort: Effort, evidence: Evidence) -> Mapping[str, Asked]:
    found = {}
    for optimizer, multiples in MULTIPLES.items():
        (best,) = tuned(evidence[f"tuning: {optimizer}"]).values()
        sweep = ((RATE, tuple(round(best.rate * multiple, 6) for multiple in multiples)),)
        shared: dict[str, Any] = {
            "effort": effort,
            "optimizer": optimizer,
            "replicates": JUDGED[effort],
            "sweep": sweep,
        }
        found[optimizer] = _spec("relu", "leaky_relu", "elu", **shared)
        found[f"{optimizer}, batch norm"] = _spec("relu", normalization="batch", **shared)
    (best,) = tuned(evidence["tuning: adam"]).values()
    found["initializations"] = _spec(
        "relu",
        effort=effort,
        optimizer="adam",
        replicates=JUDGED[effort],
        sweep=(("network.initialization", INITIALIZATIONS), (RATE, (best.rate,))),
    )
    return {key: Asked(spec, (DIED, REVIVALS, _END, _ACCURACY)) for key, spec in found.items()}


def _spec(
    *activations: str, effort: Effort, optimizer: str, normalization: str = "none", **options: Any
) -> ExperimentSpec:
    network = {"depth": 3, "width": 64, "normalization": normalization}
    training = TrainingSpec(optimizer=optimizer, epochs=EPOCHS[effort])
    return on_digits(*activations, network=network, training=training, points=10, **options)


def _arms(evidence: Evidence, key: str, label: str) -> list[tuple[str, Arm]]:
    """The arms of an activation by rising learning rate, each with its name in a table."""
    multiples = MULTIPLES[key.partition(",")[0]]
    arms = sorted((arm for arm in evidence[key].arms() if arm.activation.label == label), key=_rate)
    return [
        (f"{label}, {key}, {multiple:g} x ReLU's best rate (lr {_rate(arm):g})", arm)
        for multiple, arm in zip(multiples, arms, strict=True)
    ]


def _rate(arm: Arm) -> float:
    return arm.training.learning_rate


def _dies(evidence: Evidence) -> list[Sample]:
    return [_died_in(evidence, key, "relu")[-1] for key in MULTIPLES]


def _at_the_best_rate(evidence: Evidence, key: str) -> list[Sample]:
    return _died_in(evidence, key, "relu")[:1]


def _by_rate(evidence: Evidence) -> list[Sample]:
    found = []
    for key in MULTIPLES:
        (_, slow), *_, (_, fast) = _arms(evidence, key, "relu")
        more = minus(died(evidence[key], fast), died(evidence[key], slow))
        found.append(Sample(f"relu, {key}, lr {_rate(fast):g} minus lr {_rate(slow):g}", more))
    return found


def _controls(evidence: Evidence) -> list[Sample]:
    return [sample for label in ("leaky_relu", "elu") for sample in _died_in(evidence, "adam", label)]


def _normalized(evidence: Evidence) -> list[Sample]:
    return [sample for key in MULTIPLES for sample in _died_in(evidence, f"{key}, batch norm", "relu")]


def _died_in(evidence: Evidence, key: str, label: str) -> list[Sample]:
    return [Sample(told, died(evidence[key], arm)) for told, arm in _arms(evidence, key, label)]


def _comes_back(evidence: Evidence) -> list[Sample]:
    found = []
    for key in MULTIPLES:
        (told, arm), *_ = _arms(evidence, key, "relu")
        dead, revived = (evidence[key].values[reading].get(arm.position, {}) for reading in (DIED, REVIVALS))
        found.append(Sample(told, came_back(dead, revived)))
    return found


def _spared_by_rai(evidence: Evidence) -> list[Sample]:
    results = evidence["initializations"]
    by = {arm.network.initialization: results.values[_END].get(arm.position, {}) for arm in results.arms()}
    return [Sample("relu, adam, He's minus randomised asymmetric", minus(by["he_normal"], by["rai"]))]


def _hurts(evidence: Evidence) -> list[Sample]:
    accuracy = evidence["adam"].values[_ACCURACY]
    pairs = zip(_arms(evidence, "adam", "relu"), _arms(evidence, "adam", "leaky_relu"), strict=True)
    return [
        Sample(f"leaky ReLU minus {told}", minus(accuracy.get(leaky.position, {}), accuracy.get(relu.position, {})))
        for (told, relu), (_, leaky) in list(pairs)[1:]
    ]


CLAIM = Claim(
    name="C6",
    title="ReLU units can die",
    sentence="ReLU units can die: once a unit is off for every input, no gradient ever brings it back.",
    stages=(Stage("tuning", _tuning), Stage("judging", _judging)),
    parts=(
        Part(
            name="dies",
            statement="Units of a ReLU network die in training at learning rates within a factor of ten of the best "
            "one.",
            effect=DEATHS,
            direction="above",
            sesoi=0.02,
            explanation="A large step can push a unit's bias and weights to where it is off for every input of the "
            "probe. Its gradient is then exactly zero. Whether such a network still learns is another question.",
            would_change="Smaller learning rates, or a larger probe: a unit counts as dead if no probe input turns "
            "it on.",
            figure="adam/dead_fraction",
            samples=_dies,
            answer=Clause(
                "ReLU units die in training at learning rates within a factor of ten of the best one",
                "ReLU units hardly die in training at learning rates within a factor of ten of the best one",
            ),
        ),
        Part(
            name="tuned_descent",
            statement="Units of a ReLU network die at the best learning rate of plain descent too.",
            effect=DEATHS,
            direction="above",
            sesoi=0.02,
            explanation="Units can die and others come back while a network learns well, and networks can differ in "
            "how many. What is left dead at the end can be fewer than at the start.",
            would_change="A deeper network, another initialization, or another data set.",
            figure="sgd/dead_fraction",
            samples=lambda evidence: _at_the_best_rate(evidence, "sgd"),
        ),
        Part(
            name="tuned_adam",
            statement="Units of a ReLU network die at the best learning rate of Adam.",
            effect=DEATHS,
            direction="above",
            sesoi=0.02,
            explanation="Adam's steps have the same size for every weight, however small its gradient, so a unit "
            "that hardly matters is moved as far as any other.",
            would_change="A smaller learning rate than the fastest one.",
            figure="adam/dead_fraction",
            samples=lambda evidence: _at_the_best_rate(evidence, "adam"),
        ),
        Part(
            name="by_rate",
            statement="How many ReLU units die depends on the learning rate.",
            effect="The share that died at the highest rate minus that at the best one, in pairs of equal seeds.",
            direction="above",
            sesoi=0.02,
            explanation="A rate of dead units means little without the learning rate it was seen at.",
            would_change="Learning rates that are all small.",
            figure="adam/dead_fraction",
            samples=_by_rate,
            answer=Clause(
                "how many die depends on the learning rate",
                "how many die depends little on the learning rate",
                said=False,
            ),
        ),
        Part(
            name="controls",
            statement="Units of leaky ReLU and ELU do not die at Adam's same learning rates.",
            effect=DEATHS,
            direction="within",
            sesoi=0.01,
            explanation="Where ReLU's slope is 0 theirs is 0.01 or exp(h), so some gradient always passes, as long "
            "as the number type can hold it: exp(h) is 0 in single precision below h = -104. Only Adam's rates are "
            "asked about: a network that diverges, as plain descent's may, cannot be judged.",
            would_change="Learning rates large enough to drive ELU's inputs below what the number type holds.",
            figure="adam/dead_fraction",
            samples=_controls,
            answer=Clause(
                "units of leaky ReLU and ELU are spared",
                "units of leaky ReLU or ELU die as well",
                said=False,
            ),
        ),
        Part(
            name="normalized",
            statement="With batch norm before ReLU no units die at any of these rates, under either optimizer.",
            effect=DEATHS,
            direction="within",
            sesoi=0.01,
            explanation="Batch norm gives every unit mean zero over the batch before its learned shift, so it is on "
            "for some inputs unless that shift is driven far down.",
            would_change="A learned shift several standard deviations below zero.",
            figure="adam, batch norm/dead_fraction",
            samples=_normalized,
        ),
        Part(
            name="for_good",
            statement="A dead ReLU unit never comes back.",
            effect=REVIVED,
            direction="within",
            sesoi=0.1,
            explanation="A dead unit's own weights get no gradient, but the layers below it go on learning and move "
            "its inputs. Only in the first hidden layer, whose inputs are the data, does a unit that is off for "
            "all of them never get a gradient again.",
            would_change="A network of one hidden layer.",
            figure="adam/dead_fraction",
            samples=_comes_back,
            answer=Clause(
                "a dead unit never comes back",
                "more than a tenth of the dead units come back",
            ),
        ),
        Part(
            name="initialization",
            statement="An asymmetric initialization (RAI) spares units: fewer are dead at the end than with He's.",
            effect=f"Share of hidden units that are dead on {PROBE} at the end, He's initialization minus RAI, "
            "at Adam's best rate, in pairs of equal replicates.",
            direction="above",
            sesoi=0.02,
            explanation="RAI draws one positive weight or bias for each unit, which makes a unit that is off "
            "everywhere rare at the start. Whether it stays on is for training to decide.",
            would_change="A narrow and deep network, in which units are dead from the start: that is what RAI is "
            "made for.",
            figure="initializations/dead_fraction",
            samples=_spared_by_rai,
        ),
        Part(
            name="hurts",
            statement="It costs accuracy: leaky ReLU, whose units cannot die, does better above ReLU's best rate of "
            "Adam.",
            effect="Test accuracy of leaky ReLU minus that of ReLU, in pairs of equal seeds. 0.01 is one point.",
            direction="above",
            sesoi=0.01,
            explanation="A network can do without the units that die, and a rate that kills ReLU's units is as large a "
            "step for leaky ReLU. So dead units need not cost accuracy, nor need leaky ReLU do better.",
            would_change="A setting in which leaky ReLU trains on where ReLU has lost its units.",
            figure="adam/learning_curves",
            samples=_hurts,
            answer=Clause(
                "their dying costs accuracy",
                "their dying costs no accuracy to speak of",
                said=False,
            ),
        ),
    ),
)
