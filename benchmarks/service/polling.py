"""Asking how far an experiment is, again and again, when nothing has changed."""

from __future__ import annotations

from benchmarks.service.figure import Bound, Figure, p99, rate
from benchmarks.service.load import Address, Operation, Operations, closed
from benchmarks.service.peer import MLflow

CLIENTS = 32


def figures(address: Address, experiment_id: str, mlflow: MLflow | None) -> list[Figure]:
    """Of an experiment that has succeeded."""
    ours = closed(address, unchanged(address, experiment_id), clients=CLIENTS, warm_up_s=1, for_s=8)
    whole = closed(address, _whole(address, experiment_id), clients=CLIENTS, warm_up_s=1, for_s=4)
    what = f"poll an experiment, {CLIENTS} clients"
    if mlflow is None:
        return [
            rate(f"{what}, unchanged (304)", ours, 1500),
            p99("the same", ours, 60),
            rate(f"{what} (200)", whole, None),
        ]
    run_id = mlflow.finished(40)
    theirs = closed(mlflow.address, mlflow.getting(run_id), clients=CLIENTS, warm_up_s=1, for_s=8)
    times = Bound(5.0, "x", at_least=True)
    return [
        rate(f"{what}, unchanged (304; MLflow: GET run)", ours, 1500, beside=theirs),
        p99("the same", ours, 60, beside=theirs),
        Figure("the same, over MLflow's GET run", ours.rate / theirs.rate, times, f"{ours.n:,} and {theirs.n:,}"),
        rate(f"{what}, the whole answer (200)", whole, None, beside=theirs),
    ]


def unchanged(address: Address, experiment_id: str) -> Operations:
    """One poll, with the tag of the last whole answer."""
    path = f"/v1/experiments/{experiment_id}"
    tag = address.ask(address.get(path)).expect(200).etag.decode()
    request = address.get(path, If_None_Match=tag)

    def operation() -> Operation:
        (yield request).expect(304)

    return operation


def _whole(address: Address, experiment_id: str) -> Operations:
    request = address.get(f"/v1/experiments/{experiment_id}")

    def operation() -> Operation:
        (yield request).expect(200)

    return operation
