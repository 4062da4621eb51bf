"""Pages for people: the index, which draws with Plotly, and the API's documentation by Swagger UI. The libraries' files
come with installed packages.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from flask import Blueprint, Response, make_response, render_template, send_from_directory

blueprint = Blueprint("docs", __name__)

# Everything from here, nothing inline: Swagger UI works under it.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_OWN = Path(__file__).parent / "page"
_A_DAY_S = 86_400
_NAMES = (
    "'style.css', 'docs.js', 'lab.js', 'access.js', 'comparison.js', 'elements.js', 'events.js', 'experiment.js', "
    "'figures.js'"
)


@blueprint.get("/")
def index() -> Response:
    return _page("index.html")


@blueprint.get("/docs")
def docs() -> Response:
    return _page("docs.html")


@blueprint.get(f"/page/<any({_NAMES}):name>")
def own_file(name: str) -> Response:
    return send_from_directory(_OWN, name)


@blueprint.get("/page/plotly.min.js")
def plotly() -> Response:
    return send_from_directory(plotly_file().parent, plotly_file().name, max_age=_A_DAY_S)


@blueprint.get("/docs/<any('swagger-ui.css', 'swagger-ui-bundle.js', 'favicon-32x32.png'):name>")
def swagger_file(name: str) -> Response:
    return send_from_directory(_swagger_files(), name, max_age=_A_DAY_S)


def plotly_file() -> Path:
    # Found without importing it: importing plotly costs the process 50 MB.
    spec = find_spec("plotly")
    return Path(str(spec and spec.origin)).parent / "package_data" / "plotly.min.js"


def _page(name: str) -> Response:
    response = make_response(render_template(name))
    response.headers["Content-Security-Policy"] = _POLICY
    return response


def _swagger_files() -> Path:
    # Found without importing it: the package itself is a Flask extension that is not needed.
    spec = find_spec("flask_swagger_ui")
    return Path(str(spec and spec.origin)).parent / "dist"
