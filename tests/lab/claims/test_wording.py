from __future__ import annotations

from dataclasses import replace

import pytest

from lab.claims import CLAIMS
from lab.claims.claim import Direction, Part, Sample
from lab.claims.verdict import JudgedPart, judge_sample, together
from lab.claims.wording import say


def judged(*means: float, direction: Direction = "above", n: int = 10) -> JudgedPart:
    part: Part = replace(CLAIMS["C4"].parts[0], direction=direction, sesoi=1.0)
    samples = [Sample(f"arm {i}", {r: mean + 0.2 * (-1) ** r for r in range(n)}) for i, mean in enumerate(means)]
    numbers = tuple(judge_sample(sample, direction=direction, sesoi=1.0, level=0.95) for sample in samples)
    return JudgedPart(part, 0.95, together([number.verdict for number in numbers]), numbers)


@pytest.mark.parametrize(
    ("part", "sentence"),
    [
        (judged(2.0), "Supported: the effect is above 1: arm 0 2 [1.85, 2.15] (n = 10)."),
        (judged(0.0, direction="within"), "Supported: the effect is within +-1: arm 0 0 [-0.151, 0.151] (n = 10)."),
        (judged(3.0, 0.0), "Refuted: the effect is not above 1: arm 1 0 [-0.151, 0.151] (n = 10)."),
        (judged(2.0, n=4), "Inconclusive: arm 0: too few networks: 4, and a verdict takes 5."),
        (judged(), "Inconclusive: there are no results yet."),
    ],
)
def test_a_sentence_names_the_numbers_that_decided(part: JudgedPart, sentence: str) -> None:
    assert say(part) == sentence


def test_many_effects_are_counted_and_the_first_named() -> None:
    sentence = say(judged(2.0, 3.0, 4.0, 5.0, 6.0))

    assert sentence.startswith("Supported: 5 effects are above 1: arm 0")
    assert sentence.endswith("and 2 more.")
