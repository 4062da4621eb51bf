"""`make claims`: every claim through all its stages on a lab that is started for it, and a page on each."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import click

from actlab.cli import claim_tables
from actlab.cli.frame import console
from actlab.client import ENDED, Json, Lab
from actlab.errors import LabError, Unreachable
from actlab.operate import claim_pages
from actlab.operate.errors import CannotStart, Stopped
from actlab.operate.place import Place, held
from actlab.operate.processes import check_parts
from actlab.operate.running import RunningLab, running_lab
from actlab.operate.stopping import StopWish

POLL_S = 0.5
MARK = "made-by-make-claims"


@click.command()
@click.option("--data", type=click.Path(path_type=Path), default=Path("claims-data"), show_default=True)
@click.option("--pages", type=click.Path(path_type=Path), default=Path("docs/claims"), show_default=True)
@click.option("--workers", type=click.IntRange(1), help="Processes that train.  [default: one a core]")
@click.option("--quick", is_flag=True, help="Fewer settings and five seeds.")
def main(*, data: Path, pages: Path, workers: int | None, quick: bool) -> None:
    """Start a lab, run every claim, write a page on each, and stop."""
    try:
        _go(data, pages, "quick" if quick else "full", workers)
    except LabError as error:
        _say(str(error))
        raise SystemExit(1) from None


def _go(data: Path, pages: Path, effort: str, workers: int | None) -> None:
    check_parts()
    _check_ours(data)
    with held(data) as place, StopWish(_say) as wish:
        (place.folder / MARK).touch()
        place.clear()
        try:
            _run(place, wish, pages, effort=effort, workers=workers)
        except Stopped:
            _say("Interrupted; all it started is stopped.")
            raise SystemExit(130) from None


def _run(place: Place, wish: StopWish, pages: Path, *, effort: str, workers: int | None) -> None:
    started = time.monotonic()
    _say("Starting a lab for the claims ...")
    with running_lab(place, host="127.0.0.1", port=0, workers=workers, wish=wish) as running, Lab(running.url) as lab:
        running.supervisor.say = _say
        claims = lab.claims()
        rounds = _to_the_end(lab, running, wish, [claim["name"] for claim in claims], effort)
        verdicts = {name: _verdict(lab, asked) for name, asked in rounds.items()}
        took_s = time.monotonic() - started
        written = claim_pages.write(lab, claims, verdicts, pages, took_s=took_s)
        console().print(claim_tables.claims(claims, verdicts))
    _say(f"{took_s / 60:.0f} min. The pages are in {written}.")


def _to_the_end(lab: Lab, running: RunningLab, wish: StopWish, names: list[str], effort: str) -> dict[str, Json]:
    """The last stage of every claim's round. All claims train at the same time, so that no worker waits for a stage."""
    rounds = {name: lab.ask_claim(name, effort=effort) for name in names}
    under_way = set(names)
    while under_way:
        wish.wait(POLL_S)
        running.tend()
        for name in sorted(under_way):
            # An API that has died is not there until it was tended to.
            with suppress(Unreachable):
                if _has_ended(lab, rounds[name]) and not _goes_on(lab, rounds, name):
                    under_way.remove(name)
                    _say(f"{name} has ended; {len(under_way)} to go")
    return rounds


def _has_ended(lab: Lab, asked: Json) -> bool:
    """Looks at the first experiment that had not ended at the last look."""
    for experiment in asked["experiments"]:
        if experiment["state"] not in ENDED:
            experiment["state"] = lab.get(experiment["id"])["state"]
            if experiment["state"] not in ENDED:
                return False
    return True


def _goes_on(lab: Lab, rounds: dict[str, Json], name: str) -> bool:
    asked = rounds[name]
    if asked["stage"] >= asked["stages"]:
        return False
    rounds[name] = lab.ask_claim(name, round_id=asked["round"])
    return bool(rounds[name]["submitted"])


def _verdict(lab: Lab, asked: Mapping[str, Json]) -> Json:
    return lab.verdict(str(asked["claim"]), **({"round": asked["round"]} if asked["experiments"] else {}))


def _check_ours(folder: Path) -> None:
    """What another run left is removed; anything else is not touched."""
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MARK).exists():
        raise CannotStart(f"The folder {folder} holds something that is not of the claims. Choose another with --data.")


def _say(line: str) -> None:
    # The terminal may be gone; that is no reason to leave programs behind.
    with suppress(OSError):
        click.echo(line, err=True)


if __name__ == "__main__":
    main()
