"""The report: an experiment as one page that needs nothing else, to be kept, sent and printed."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path
from typing import Any

from flask import Response, render_template
from markupsafe import Markup

from lab.catalog.datasets import DATASETS
from lab.catalog.measurements import CURVES, DERIVED, MEASUREMENTS
from lab.figures import Figure
from lab.spec import ExperimentSpec
from lab.statistics import adjustment
from service.analysis import table
from service.blueprint import Blueprint
from service.docs import plotly_file
from service.drawing import FIGURES, draw
from service.findings import LEVEL, Findings, find
from service.parts import parts

blueprint = Blueprint(
    "report", __name__, url_prefix="/v1/experiments/<uuid:experiment_id>", description="One page to keep."
)

_SHOWN = ("test_accuracy", "test_loss", "dead_fraction", "gradient_ratio", "delta_norm", "activation_mean")


@blueprint.route("/report")
@blueprint.response(200, {"type": "string"}, content_type="text/html", description="The page, as a download.")
def report(experiment_id: Any) -> Response:
    """The experiment as one self-contained HTML page."""
    with parts().database.reading() as session:
        findings = find(session, str(experiment_id))
        figures = {name: draw(session, str(experiment_id), name) for name in FIGURES}
    response = Response(_html(findings, figures), mimetype="text/html")
    response.headers["Content-Security-Policy"] = _policy()
    response.headers["Content-Disposition"] = f'attachment; filename="activation-lab-{experiment_id}.html"'
    return response


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.3g} %"


def _estimate(value: dict[str, Any], *, scale: int = 1, unit: str = "") -> Markup:
    """A mean with its interval below it."""
    if value["mean"] is None:
        return Markup("-")
    low, high = (None if value[end] is None else f"{scale * value[end]:.4g}" for end in ("low", "high"))
    interval = "" if low is None else f"<small>{low} to {high}{unit}</small>"
    return Markup(f"{scale * value['mean']:.4g}{unit}{interval}")  # noqa: S704 - numbers only


def _html(findings: Findings, figures: dict[str, Figure]) -> str:
    known = CURVES | DERIVED | MEASUREMENTS
    experiment = findings.experiment
    classification = DATASETS[findings.spec.dataset.name].task == "classification"
    return render_template(
        "report.html",
        title=experiment.name or "An experiment",
        experiment=experiment,
        asked=_asked(findings.spec, len(findings.arms)),
        **table(findings),
        classification=classification,
        level=f"{100 * LEVEL:g}",
        figures=figures,
        definitions=[known[name] for name in _SHOWN if classification or name != "test_accuracy"],
        request=json.dumps(experiment.spec, indent=2, ensure_ascii=False),
        policy=_policy(),
        style=_file("style.css"),
        plotly=_plotly(),
        script=_file("report.js"),
        score=findings.score.name,
        differences={
            arm: summary.score.difference and asdict(summary.score.difference)
            for arm, summary in findings.summaries.items()
        },
        adjusted=adjustment({each.label: each.score for each in findings.summaries.values()}, level=LEVEL),
        number=_number,
        share=_share,
        estimate=_estimate,
        estimate_in_percent=partial(_estimate, scale=100, unit=" %"),
        estimate_in_points=partial(_estimate, scale=100, unit=" points"),
    )


def _asked(spec: ExperimentSpec, n_arms: int) -> str:
    """The request in words. What is swept is said once, with its values."""
    names = ", ".join(activation.label for activation in spec.activations)
    network, training = spec.network, spec.training
    length = "training.steps" if training.epochs is None else "training.epochs"
    defaults = DATASETS[spec.dataset.name].defaults
    of_data = {name: value for name, value in spec.dataset.parameters if value != defaults[name]}
    settings = {f"dataset.{name}": f"{name} {value}" for name, value in of_data.items()}
    settings |= {
        "network.depth": f"{network.depth} hidden layers",
        "network.width": f"{network.width} units a layer",
        "network.initialization": f"initialization {network.initialization}",
        "network.normalization": f"normalization {network.normalization}",
        "network.residual": "residual connections" if network.residual else "",
        "training.optimizer": training.optimizer,
        "training.learning_rate": f"learning rate {training.learning_rate:g}",
        "training.schedule": "" if training.schedule == "constant" else f"{training.schedule} schedule",
        "training.weight_decay": f"weight decay {training.weight_decay:g}" if training.weight_decay else "",
        "training.clip_norm": f"gradients clipped at norm {training.clip_norm:g}" if training.clip_norm else "",
        length: f"{training.steps} steps" if training.epochs is None else f"{training.epochs} epochs",
    }
    swept = dict(spec.sweep)
    fixed = [words for path, words in settings.items() if words and path not in swept]
    varied = [f"{path} swept over {', '.join(map(str, values))}" for path, values in swept.items()]
    return (
        f"How do {names} compare on {spec.dataset.name}? {'; '.join([*fixed, *varied])}. {n_arms} arms, "
        f"{spec.replicates} networks each, one seed a network; arms share their seeds."
    )


@cache
def _plotly() -> Markup:
    text = plotly_file().read_text("utf-8")
    # The text of a script ends at the first of these, wherever it stands.
    return Markup(text.replace("</script", "<\\/script"))  # noqa: S704 - the package's own file


@cache
def _file(name: str) -> Markup:
    return Markup((Path(__file__).parent / "page" / name).read_text("utf-8"))  # noqa: S704 - our own file


@cache
def _policy() -> str:
    """Only the page's own two scripts run; nothing is fetched from anywhere."""
    scripts = " ".join(f"'sha256-{_sha256(script)}'" for script in (_plotly(), _file("report.js")))
    return f"default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'"


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
