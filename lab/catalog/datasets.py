"""The data sets that can be asked for: what they hold. `worker/datasets/` makes them, one maker an entry."""

from __future__ import annotations

from lab.catalog.dataset import Dataset, collected, drawn
from lab.catalog.parameters import Choice, Number


def _noise(default: float) -> Number:
    return Number("noise", default, 0.0, 10.0, "Standard deviation added to the points.")


DATASETS: dict[str, Dataset] = {
    entry.name: entry
    for entry in (
        collected(
            "digits",
            "scikit-learn's 8 x 8 handwritten digits, standardised with one global mean and standard deviation; "
            "1,437 train, 360 test.",
            "classification",
            n_inputs=64,
            n_outputs=10,
            n_samples=1797,
        ),
        collected(
            "iris",
            "Fisher's 150 irises: four lengths of a flower in cm, three species; each input standardised by the "
            "training set; 120 train, 30 test.",
            "classification",
            n_inputs=4,
            n_outputs=3,
            n_samples=150,
        ),
        collected(
            "wine",
            "178 wines: thirteen chemical analyses, three growers; each input standardised by the training set; "
            "142 train, 36 test.",
            "classification",
            n_inputs=13,
            n_outputs=3,
            n_samples=178,
        ),
        collected(
            "breast_cancer",
            "569 biopsies from Wisconsin: thirty measures of the cells' nuclei, malignant (0) or benign (1); each "
            "input standardised by the training set; 455 train, 114 test.",
            "classification",
            n_inputs=30,
            n_outputs=2,
            n_samples=569,
        ),
        collected(
            "diabetes",
            "442 patients: age, sex, body mass, blood pressure and six blood values, and how far diabetes had gone a "
            "year later; inputs and target standardised by the training set, so that a loss of 1 is that of the mean; "
            "353 train, 89 test.",
            "regression",
            n_inputs=10,
            n_outputs=1,
            n_samples=442,
        ),
        drawn(
            "xor",
            "Points uniform on the square [-1, 1]^2; the class says whether the coordinates' signs differ. The best "
            "straight line gets two thirds of them right.",
            "classification",
            _noise(0.0),
        ),
        drawn(
            "spirals",
            "Two interleaved spirals of one and a half turns in the plane, within radius 1.",
            "classification",
            _noise(0.02),
        ),
        drawn(
            "function_1d",
            "A function of one variable on [0, 1]: training inputs evenly spaced, test inputs between them.",
            "regression",
            Choice("function", "sine", ("square", "sine", "sqrt", "abs"), "x^2, sin(2 pi x), sqrt(x) or |x - 1/3|."),
            n_inputs=lambda parameters: 1,
            n_outputs=lambda parameters: 1,
            sizes=(512, 511),
        ),
    )
}
