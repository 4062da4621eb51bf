"""`actlab up` and `actlab demo`: a lab on this machine. What they need is imported when they are asked for."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Beyond loopback only with ACTLAB_AUTH=tokens, or ACTLAB_TRUST_NETWORK=yes.",
)
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 takes any free one.")
@click.option(
    "--data",
    type=click.Path(file_okay=True, path_type=Path),
    default=Path("lab-data"),
    show_default=True,
    help="Folder of the database, the broker's file and the logs.",
)
@click.option("--workers", type=click.IntRange(1), help="Processes that train.  [default: one a core]")
def up(*, host: str, port: int, data: Path, workers: int | None) -> None:
    """Run a lab on this machine until Ctrl-C. The data stay.

    Settings are environment variables that begin with ACTLAB_; for a GPU, say ACTLAB_DEVICE=auto.

    \b
    actlab up
    actlab up --port 0 --data /tmp/lab --workers 2
    """
    from actlab.operate.up import up as run_lab

    run_lab(host=host, port=port, data=data, workers=workers)


@click.command()
@click.option(
    "--data", type=click.Path(path_type=Path), default=Path("demo"), show_default=True, help="Folder of the demo's lab."
)
@click.option("--workers", type=click.IntRange(1), help="Processes that train.  [default: one a core]")
@click.option("--quick", is_flag=True, help="Smaller networks and fewer of them: seconds, and an answer worth less.")
def demo(*, data: Path, workers: int | None, quick: bool) -> None:
    """Why ReLU? Start a lab of its own, ask it over HTTP, show the answer, write a report, and stop.

    \b
    actlab demo
    """
    from actlab.operate.demo import demo as run_demo

    run_demo(data=data, workers=workers, quick=quick)
