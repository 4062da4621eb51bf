"""The engine and its peers, side by side.

    make bench
    python -m benchmarks --workload tiny --peer engine --peer alone --repeats 3 --quick

Whole jobs in fresh processes, in turn; docs/engine.md says what the peers are.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
from collections.abc import Sequence
from dataclasses import replace

from benchmarks import table
from benchmarks.job import Job, Share
from benchmarks.rounds import ENTRIES, ON_A_GPU, Entry, Rounds
from benchmarks.workloads import WORKLOADS, described, quick


def main() -> None:
    """Prints every job as it ends, each workload's ratios, and a table at the end."""
    asked = _asked()
    entries = _entries(asked.device, asked.peer, asked.share)
    print(f"{platform.machine()}, {os.cpu_count()} cores; shares are processes x threads; rounds: {asked.repeats}")
    names = [entry.name for entry in entries]
    rows: list[list[str]] = []
    for name in asked.workload or WORKLOADS:
        spec = quick(WORKLOADS[name]) if asked.quick else WORKLOADS[name]
        print(f"{name}: {described(spec)}", flush=True)
        rounds = Rounds(spec, entries, asked.device)
        for _ in range(asked.repeats):
            rounds.play(_tell)
        print("\n".join([*table.ratios(name, rounds), *table.agreement(rounds)]), flush=True)
        rows.append(table.row(name, rounds, names))
    print("Seconds, whole job / without start-up and compiling:")
    print("\n".join(table.as_table(["", *names], rows)))


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="The engine and its peers.")
    peers = sorted({entry.peer for entry in ENTRIES})
    parser.add_argument("--workload", action="append", choices=list(WORKLOADS), help="may be repeated; all unless told")
    parser.add_argument("--peer", action="append", choices=peers, help="may be repeated; all unless told")
    parser.add_argument("--repeats", type=int, default=3, help="rounds, of which the median is taken")
    parser.add_argument("--quick", action="store_true", help="a tenth of the steps and of the recorded points")
    parser.add_argument("--share", type=_share, help="processes x threads, as in 2x1: tries no other, saves time")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"], help="cuda: the engine and nn.Module alone")
    return parser.parse_args()


def _share(given: str) -> Share:
    processes, _, threads = given.partition("x")
    if not (processes.isdecimal() and threads.isdecimal() and int(processes) and int(threads)):
        raise argparse.ArgumentTypeError(f"given {given!r}; allowed: processes x threads, as in 2x1")
    return Share(int(processes), int(threads))


def _entries(device: str, peers: Sequence[str] | None, share: Share | None) -> list[Entry]:
    if device == "cuda":
        _need_a_gpu()
    entries = [entry for entry in (ENTRIES if device == "cpu" else ON_A_GPU) if not peers or entry.peer in peers]
    if importlib.util.find_spec("jax") is None:
        print("Without JAX, which is not installed: make bench installs it.")
        entries = [entry for entry in entries if entry.peer != "vmapped"]
    return [replace(entry, shares=(share,)) for entry in entries] if share else entries


def _need_a_gpu() -> None:
    import torch

    if not torch.cuda.is_available():
        raise SystemExit(
            "Nothing was measured: --device cuda needs a GPU that PyTorch can use, and there is none here."
        )
    print(f"{torch.cuda.get_device_name()}; torch {torch.__version__}")


def _tell(name: str, share: Share, job: Job) -> None:
    print(table.told(name, share, job), flush=True)


if __name__ == "__main__":
    main()
