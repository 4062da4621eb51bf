"""The data sets that can be asked for: what they hold. `worker/datasets/` makes them, one maker an entry."""

from __future__ import annotations

from lab.catalog.activations import ACTIVATIONS
from lab.catalog.dataset import Dataset, collected, drawn
from lab.catalog.parameters import Choice, Number, Whole


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
            "mnist",
            "5,000 of MNIST's 28 x 28 handwritten digits, 500 of each, standardised with one global mean and standard "
            "deviation of the training set; 4,000 train, 1,000 test. Needs the extra 'data'.",
            "classification",
            n_inputs=784,
            n_outputs=10,
            n_samples=5000,
        ),
        collected(
            "mnist1d",
            "MNIST-1D (Greydanus & Kobak 2024): ten shapes as noisy signals of 40 points, made so that linear models "
            "fail; standardised with one global mean and standard deviation of the training set; 4,000 train, 1,000 "
            "test. Needs the extra 'data'.",
            "classification",
            n_inputs=40,
            n_outputs=10,
            n_samples=5000,
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
            "circles",
            "Two circles about one centre, the inner one class 1.",
            "classification",
            Number("inner_radius", 0.5, 0.0, 1.0, "Radius of the inner circle; the outer one's is 1."),
            _noise(0.05),
        ),
        drawn(
            "moons",
            "Two half circles of radius 1 that reach into each other.",
            "classification",
            _noise(0.1),
        ),
        drawn(
            "parity",
            "Bits of -1 or 1, each by the toss of a coin; the class says whether an odd number of the first n_bits is "
            "1. No smaller group of bits says anything about it. With few bits, test points repeat training points.",
            "classification",
            Whole("n_bits", 4, 2, 64, "Bits that decide the class."),
            Whole("n_irrelevant", 0, 0, 1000, "Further bits, which have nothing to do with it."),
            _noise(0.0),
            n_inputs=lambda parameters: int(parameters["n_bits"]) + int(parameters["n_irrelevant"]),
        ),
        drawn(
            "blobs",
            "A Gaussian blob of points a class; the centres are one fixed draw of standard normal numbers.",
            "classification",
            Whole("n_inputs", 10, 1, 1000, "Dimensions of the space."),
            Whole("n_classes", 5, 2, 100, "Number of blobs."),
            Number("spread", 1.0, 0.0, 100.0, "Standard deviation of a blob, in every direction."),
            n_inputs=lambda parameters: int(parameters["n_inputs"]),
            n_outputs=lambda parameters: int(parameters["n_classes"]),
        ),
        drawn(
            "function_1d",
            "A function of one variable on [0, 1]: training inputs evenly spaced, test inputs between them; targets as "
            "the function gives them.",
            "regression",
            Choice("function", "sine", ("square", "sine", "sqrt", "abs"), "x^2, sin(2 pi x), sqrt(x) or |x - 1/3|."),
            n_inputs=lambda parameters: 1,
            n_outputs=lambda parameters: 1,
            sizes=(512, 511),
        ),
        drawn(
            "teacher_student",
            "What one fixed random network, the teacher, makes of standard normal inputs: one hidden layer, no biases. "
            "Targets standardised by the training set, so that a loss of 1 is that of the mean.",
            "regression",
            Whole("n_inputs", 16, 1, 1000, "Number of inputs."),
            Whole("n_outputs", 1, 1, 100, "Number of values to predict."),
            Whole("teacher_width", 8, 1, 1000, "Units of the teacher's hidden layer."),
            Choice("teacher_activation", "tanh", tuple(ACTIVATIONS), "The teacher's activation, with its defaults."),
            Number("noise", 0.0, 0.0, 10.0, "Standard deviation added to the training targets; the test has none."),
            n_inputs=lambda parameters: int(parameters["n_inputs"]),
            n_outputs=lambda parameters: int(parameters["n_outputs"]),
        ),
    )
}
