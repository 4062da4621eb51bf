from __future__ import annotations

import pkgutil
import subprocess
import sys

import service

_IMPORT_ALL = """
import importlib, sys

class Forbidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "sklearn", "pandas", "plotly", "matplotlib"):
            raise AssertionError(f"the service imports {name}")

sys.meta_path.insert(0, Forbidden())
for name in sys.argv[1:]:
    importlib.import_module(name)
assert "scipy.stats" not in sys.modules
"""


def test_the_service_needs_no_torch_no_scikit_learn_and_no_plotly() -> None:
    modules = [module.name for module in pkgutil.walk_packages(service.__path__, "service.")]

    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _IMPORT_ALL, *modules],
        env={"ACTLAB_DATABASE_URL": "sqlite://", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )

    assert "service.wsgi" in modules
    assert done.returncode == 0, done.stderr
