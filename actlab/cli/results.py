"""Commands on results: compare, predictions, export, report."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from actlab.cli import prediction_tables, tables
from actlab.cli.frame import console, find, id_argument, json_option, lab_options, print_json
from actlab.cli.output import writable
from actlab.cli.score import score
from actlab.client import Items, Json, Lab


@click.command()
@id_argument
@click.option(
    "--metric",
    help="A column of runs, a measurement, or gradient_ratio.  [default: test_accuracy; test_loss for regression]",
)
@click.option("--layer", help="A layer's number, or mean, which is that over layers.  [default: mean]")
@click.option(
    "--at",
    type=click.Choice(["first", "last", "auc"]),
    help="Which recorded step; auc is the mean over steps.  [default: last]",
)
@click.option("--level", type=float, help="Level of the intervals.  [default: 0.95]")
@json_option
@lab_options
def compare(experiment_id: str, *, metric: str | None, as_json: bool, lab: Lab, **options: Any) -> None:
    """Compare arms: means with intervals, and paired differences from the baseline.

    \b
    actlab compare last
    actlab compare last --metric dead_fraction --layer 1 --at last
    """
    said = {key: value for key, value in options.items() if value is not None}
    experiment = find(lab, experiment_id)
    answer = lab.comparison(experiment["id"], metric or score(lab, experiment), **said)
    print_json(answer) if as_json else console().print(tables.comparison(answer))


@click.command()
@id_argument
@click.option("--arm", type=click.IntRange(0), multiple=True, help="Only these, by position; may be repeated.")
@json_option
@lab_options
def predictions(experiment_id: str, *, arm: tuple[int, ...], as_json: bool, lab: Lab) -> None:
    """Show theory of wide networks beside what was measured before training, and whether they agree.

    \b
    actlab predictions last
    actlab predictions last --arm 0 --json
    """
    answer = lab.predictions(find(lab, experiment_id)["id"], **({"arm": list(arm)} if arm else {}))
    print_json(answer) if as_json else console().print(prediction_tables.predictions(answer))


@click.command()
@id_argument
@click.argument("table", type=click.Choice(["measurements", "curves", "units", "runs"]))
@click.option("--format", "form", type=click.Choice(["csv", "json", "ndjson"]), default="csv", show_default=True)
@click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False, allow_dash=True),
    callback=writable,
    default="-",
    help="A file; - is standard output.",
)
@click.option("--activation", multiple=True, help="Only these; may be repeated. Not for runs.")
@click.option("--layer", type=int, multiple=True, help="Only these; may be repeated. For measurements and units.")
@click.option("--swept", multiple=True, help="Only this point of the sweep, as network.depth:8; may be repeated.")
@click.option("--fields", help="Columns by commas. Not for runs.")
@click.option("--aggregate", type=click.Choice(["mean"]), help="Over networks, with intervals. Not for runs and units.")
@click.option("--over", type=click.Choice(["layers"]), help="With --aggregate: over layers as well.")
@click.option("--thin", type=click.IntRange(4), help="At most so many steps of each series, with its extremes.")
@lab_options
def export(experiment_id: str, table: str, *, form: str, output: str, lab: Lab, **filters: Any) -> None:
    """Write a table of results, whole, as CSV, as JSON (columns), or with a JSON object a line (ndjson).

    \b
    actlab export last measurements -o measurements.csv
    actlab export last curves --fields train_loss,test_accuracy --format json
    actlab export last measurements --fields dead_fraction --aggregate mean --swept network.depth:8
    """
    said = {key: value for key, value in filters.items() if value}
    pieces = _pieces(lab, find(lab, experiment_id)["id"], table, form, said)
    # The first piece is read before the file is opened: a refusal leaves no empty file behind.
    first = next(pieces, "")
    with click.open_file(output, "w", encoding="utf-8") as file:
        file.write(first)
        file.writelines(pieces)


@click.command()
@id_argument
@click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=writable,
    default=Path("report.html"),
    show_default=True,
)
@lab_options
def report(experiment_id: str, *, output: Path, lab: Lab) -> None:
    """Write the report: one HTML page with figures, numbers and the answer, that needs nothing else.

    \b
    actlab report last -o relu.html
    """
    lab.report(find(lab, experiment_id)["id"], output)
    click.echo(f"The report is in {output}.")


def _pieces(lab: Lab, experiment_id: str, table: str, form: str, filters: dict[str, Any]) -> Iterator[str]:
    if table == "runs":
        if filters:
            raise click.UsageError("The table runs is exported whole; what narrows and sums up is for the others.")
        yield _RUNS[form](lab.runs(experiment_id))
    elif form == "json":
        read = {"measurements": lab.measurements, "curves": lab.curves, "units": lab.units}[table]
        yield json.dumps(read(experiment_id, **filters), indent=None) + "\n"
    else:
        yield from {"csv": lab.csv, "ndjson": lab.ndjson}[form](experiment_id, table, **filters)


def _runs_csv(runs: Items) -> str:
    """One line a run. What a run has per layer is in the measurements, and in the JSON form."""
    text = io.StringIO()
    flat = [_flat(run) for run in runs]
    columns = [key for key in flat[0] if key != "layers"] if flat else []
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {key: json.dumps(value) if isinstance(value, bool) else value for key, value in run.items()} for run in flat
    )
    return text.getvalue()


def _flat(run: Json) -> Json:
    """With what is swept by path, as other tables have it."""
    flat: Json = {}
    for key, value in run.items():
        flat |= value if key == "swept" else {key: value}
    return flat


_RUNS: dict[str, Callable[[Items], str]] = {
    "csv": _runs_csv,
    "json": lambda runs: json.dumps(runs, indent=1) + "\n",
    "ndjson": lambda runs: "".join(json.dumps(_flat(run)) + "\n" for run in runs),
}
