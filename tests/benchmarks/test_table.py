from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from benchmarks import table
from benchmarks.job import Job, Shift
from benchmarks.rounds import ENTRIES, Rounds
from benchmarks.workloads import WORKLOADS, planned, quick


def a_job(*worked_s: float, startup_s: float = 1.0, compile_s: float = 0.0) -> Job:
    """Processes that were ready together and worked for so long each."""
    shifts = tuple(Shift(startup_s, startup_s + compile_s + each, compile_s, 0, {}) for each in worked_s)
    return Job(0.0, max(shift.done for shift in shifts), shifts)


def the_rounds(workload: str = "mid", **jobs: list[Job]) -> Rounds:
    """Of the entries in `jobs` alone; a name's _ stands for what Python's names cannot hold."""
    names = {entry.name.translate(str.maketrans(" ,'.", "____")): entry for entry in ENTRIES}
    rounds = Rounds(WORKLOADS[workload], [names[name] for name in jobs], "cpu")
    for name, done in jobs.items():
        rounds.jobs[names[name].name] += done
    return rounds


def test_a_job_counts_what_it_waits_for_apart_from_its_work() -> None:
    done = a_job(6.0, 8.0, startup_s=3.0, compile_s=2.0)

    assert (done.whole_s, done.startup_s, done.compile_s) == (13.0, 3.0, 2.0)
    assert (done.work_s, done.busy_s, done.idle_share) == (8.0, 7.0, 0.2)


def test_a_ratio_is_the_median_of_the_rounds_ratios() -> None:
    slow_machine = [a_job(29.0), a_job(9.0)]
    rounds = the_rounds(
        nn_Module=[a_job(8.0), a_job(89.0), a_job(14.0)], engine=[a_job(2.0), slow_machine[0], slow_machine[1]]
    )

    lines = list(table.ratios("mid", rounds))

    # 9 / 3, 90 / 30 and 15 / 10, where the ratio of the medians would be 15 / 10.
    assert "  nn.Module / engine, whole jobs: 3.00 (at least 3: reached)" in lines


def test_a_ratio_that_needs_an_absent_peer_is_not_shown() -> None:
    lines = list(table.ratios("mid", the_rounds(engine=[a_job(2.0, 2.0)])))

    assert lines == ["  engine: one worker waits for the other at the end for 0% of the time"]


def test_the_engine_is_held_against_the_quicker_of_the_products() -> None:
    rounds = the_rounds("wide", engine=[a_job(8.0)], products__bmm=[a_job(4.0)], products__oneDNN=[a_job(2.0)])

    lines = list(table.ratios("wide", rounds))

    name = "engine / best products, recording passes too, without start-up"
    assert f"  {name}: 4.00 (at most 2.2: not reached)" in lines


def test_recordings_cost_is_what_it_adds_over_what_its_products_add() -> None:
    rounds = the_rounds(
        engine=[a_job(5.0, 6.0)],
        engine__not_recording=[a_job(3.0, 4.0)],
        products__bmm=[a_job(3.0, 4.0)],
        products__bmm__training_s=[a_job(2.0, 2.0)],
    )

    lines = list(table.ratios("mid", rounds))

    assert "  recording / its passes' products, without start-up: 1.33 (at most 1.5: reached)" in lines


def test_a_peer_without_a_chance_on_narrow_layers_stays_away() -> None:
    assert "products, oneDNN" in Rounds(WORKLOADS["wide"], ENTRIES, "cpu")
    assert "products, oneDNN" not in Rounds(WORKLOADS["tiny"], ENTRIES, "cpu")


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_quick_workload_is_the_same_networks_and_a_tenth_of_their_steps(name: str) -> None:
    whole, short = planned(WORKLOADS[name]), planned(quick(WORKLOADS[name]))

    assert [len(stack.runs) for stack in short.stacks] == [len(stack.runs) for stack in whole.stacks]
    assert short.arms[0].steps == whole.arms[0].steps // 10
    assert len(short.stacks[0].recorded_steps) == len(whole.stacks[0].recorded_steps) // 10


@pytest.mark.skipif(torch.cuda.is_available(), reason="This machine has a GPU to measure on")
def test_without_a_gpu_the_benchmark_on_a_gpu_says_so() -> None:
    asked = [sys.executable, "-m", "benchmarks", "--device", "cuda"]

    ended = subprocess.run(asked, capture_output=True, text=True, check=False)

    assert ended.returncode == 1
    assert (
        ended.stderr
        == "Nothing was measured: --device cuda needs a GPU that PyTorch can use, and there is none here.\n"
    )
