"""Asking for experiments, by several clients at once."""

from __future__ import annotations

from benchmarks.service.figure import Figure, p99, rate
from benchmarks.service.load import Address, Operation, closed
from benchmarks.service.peer import MLflow

CLIENTS = 8
REQUEST = {
    "name": "Does depth kill sigmoid?",
    "tags": ["depth"],
    "activations": ["relu", "tanh", "sigmoid"],
    "sweep": {"network.depth": [2, 4]},
    "replicates": 10,
}
"""60 runs."""


def figures(address: Address, mlflow: MLflow | None) -> list[Figure]:
    request = address.post("/v1/experiments", REQUEST)

    def submit() -> Operation:
        (yield request).expect(202)

    ours = closed(address, submit, clients=CLIENTS, warm_up_s=1, for_s=8)
    theirs = None
    if mlflow is not None:
        theirs = closed(mlflow.address, mlflow.creating, clients=CLIENTS, warm_up_s=1, for_s=8)
    what = f"submit a 60-run experiment, {CLIENTS} clients (MLflow: create one run, log its parameters)"
    return [rate(what, ours, 100, beside=theirs), p99("the same", ours, 250, beside=theirs)]
