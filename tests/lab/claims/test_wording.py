from __future__ import annotations

from dataclasses import replace

import pytest

from lab.claims import CLAIMS
from lab.claims.claim import Direction, Part, Sample
from lab.claims.verdict import JudgedClaim, JudgedPart, Standing, Verdict, judge, judge_sample, standing, together
from lab.claims.wording import answer, say


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
        (judge(CLAIMS["C4"], None).parts[0], "Not run: there are no results yet."),
    ],
)
def test_a_sentence_names_the_numbers_that_decided(part: JudgedPart, sentence: str) -> None:
    assert say(part) == sentence


def test_many_effects_are_counted_and_the_first_named() -> None:
    sentence = say(judged(2.0, 3.0, 4.0, 5.0, 6.0))

    assert sentence.startswith("Supported: 5 effects are above 1: arm 0")
    assert sentence.endswith("and 2 more.")


def a_claim(**verdicts: Verdict) -> JudgedClaim:
    """C6 with these verdicts; its other parts are inconclusive, with numbers."""
    number = judge_sample(Sample("an arm", dict.fromkeys(range(5), 1.0)), direction="above", sesoi=1.0, level=0.95)
    parts = [
        JudgedPart(part, 0.95, verdicts.get(part.name, Verdict.INCONCLUSIVE), (number,)) for part in CLAIMS["C6"].parts
    ]
    return JudgedClaim(CLAIMS["C6"], "full", tuple(parts))


@pytest.mark.parametrize(
    ("dies", "for_good", "expected"),
    [
        (Verdict.SUPPORTED, Verdict.SUPPORTED, Standing.HOLDS),
        (Verdict.SUPPORTED, Verdict.REFUTED, Standing.IN_PART),
        (Verdict.REFUTED, Verdict.REFUTED, Standing.FAILS),
        (Verdict.SUPPORTED, Verdict.INCONCLUSIVE, Standing.OPEN),
        (Verdict.INCONCLUSIVE, Verdict.REFUTED, Standing.OPEN),
        (Verdict.INCONCLUSIVE, Verdict.INCONCLUSIVE, Standing.OPEN),
    ],
)
def test_a_claim_stands_as_the_parts_that_its_sentence_says_came_out(
    dies: Verdict, for_good: Verdict, expected: Standing
) -> None:
    judged = a_claim(dies=dies, for_good=for_good, by_rate=Verdict.SUPPORTED, hurts=Verdict.REFUTED)

    assert standing(judged) is expected
    assert answer(judged).startswith(f"{expected.value.capitalize()}. ")


def test_an_answer_says_what_is_so_what_is_not_and_what_is_open() -> None:
    assert answer(a_claim(dies=Verdict.SUPPORTED, for_good=Verdict.REFUTED, by_rate=Verdict.SUPPORTED)) == (
        "Holds in part. ReLU units die in training at learning rates within a factor of ten of the best one; how many "
        "die depends on the learning rate. But more than a tenth of the dead units come back. It is open whether units "
        "of leaky ReLU and ELU are spared; whether their dying costs accuracy."
    )
    assert answer(a_claim(dies=Verdict.REFUTED)).startswith("Open. ReLU units hardly die in training")


@pytest.mark.parametrize("name", CLAIMS)
def test_every_claim_has_parts_that_its_sentence_says_and_an_answer_without_results(name: str) -> None:
    said = [part.answer for part in CLAIMS[name].parts if part.answer and part.answer.said]

    assert len(said) >= 2
    for clause in said:
        assert clause.so != clause.not_so
        assert not clause.so.endswith(".")
    assert answer(judge(CLAIMS[name], None)) == "Open. It has not been run to its end."
