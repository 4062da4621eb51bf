"""What an experiment's arms are judged by: it follows from the task of its data set."""

from __future__ import annotations

from actlab.client import Json, Lab

SCORES = {"regression": "test_loss"}
USUAL = "test_accuracy"


def score(lab: Lab, experiment: Json) -> str:
    """`test_loss` for regression, else `test_accuracy`; a sweep does not change it."""
    dataset = experiment["spec"]["dataset"]["name"]
    tasks = [entry["task"] for entry in lab.datasets() if entry["name"] == dataset]
    return SCORES.get(tasks[0], USUAL) if tasks else USUAL
