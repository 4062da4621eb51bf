"""The whole of the API against its own document: `make fuzz`, or `python -m tests.fuzz --cases 50`.

schemathesis asks every operation for what the document allows and for what it does not, all checks on; first with what
it makes up or finds in answers, then with experiments that are there. A real API answers, over Postgres and Valkey.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.service.load import Address
from benchmarks.service.place import Place, place
from lab.records import PredictedValue
from store.database import Database
from tests.builders import a_spec
from tests.servers import QUICK
from tests.service.recorded import failed, predicted, trained

# What JSON Schema cannot say (a cost, two fields that exclude each other, a metric without layers) lets the service
# refuse what conforms; what is made up is nowhere to be found, or has ended; and lists can be too long for a URL.
_CONFIG = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "304", "404", "409", "414", "422"]

[checks.negative_data_rejection]
expected-statuses = ["400", "403", "404", "405", "409", "413", "414", "415", "422"]
"""
# Nothing that takes away the experiment whose id is given.
_READING = ["--exclude-method", "POST", "--exclude-method", "DELETE", "--exclude-path-regex", "^[^{]*$"]
_READING += ["--phases", "fuzzing", "--mode", "positive"]


def main() -> None:
    """Exits with what schemathesis found: 0 where that is nothing."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="The API against its own document.")
    parser.add_argument("--cases", type=int, default=1000, help="at most so many an operation, in each of two rounds")
    parser.add_argument("--seed", type=int, help="to see again what was seen")
    parser.add_argument("--path", help="operations whose path has this regular expression; all unless told")
    asked = parser.parse_args()
    options = ["--max-examples", str(asked.cases)]
    options += [] if asked.seed is None else ["--seed", str(asked.seed)]
    options += [] if asked.path is None else ["--include-path-regex", asked.path]
    with place(QUICK) as where, where.api() as (address, _):
        known = _recorded(where.database)
        found = [_run(where, address, options, _CONFIG), _run(where, address, [*options, *_READING], _CONFIG + known)]
    sys.exit(max(found))


def _recorded(database: Database) -> str:
    """Experiments that have ended in every way; settings by which one of them is asked for."""
    failed(database, a_spec("relu", "elu"))
    experiment_id = trained(database, a_spec(sweep=(("network.depth", (1, 2)),)), diverged={(0, 1): 3})
    unknown = PredictedValue(2, "gradient_ratio", None, None, None, "the last hidden layer has none above it")
    predicted(database, experiment_id, PredictedValue(1, "gradient_ratio", 0.25, 0.2, 0.3), unknown, arm=1)
    return f'[parameters]\n"path.experiment_id" = "{experiment_id}"\n'


def _run(where: Place, address: Address, options: list[str], config: str) -> int:
    with tempfile.TemporaryDirectory(dir=where.folder) as folder:
        settings = Path(folder) / "schemathesis.toml"
        settings.write_text(config)
        command = [str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(settings), "run"]
        command += [f"http://{address.host}:{address.port}/openapi.json", "--checks", "all", "--no-color"]
        return subprocess.run([*command, "--generation-database", "none", *options], cwd=folder, check=False).returncode


if __name__ == "__main__":
    main()
