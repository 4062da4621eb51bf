"""Sets up the virtual environment that the make targets use. Needs only Python's standard library.

    python3 deploy/install.py .venv service,worker,data,local

Installs from wheels alone, so no compiler is needed; does nothing when the same was installed before. Written so that
an old Python can read it far enough to say that it is too old.
"""

import hashlib
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST = (3, 11)
SHOWN = ("Collecting", "Downloading", "Using cached", "Installing", "Successfully", "ERROR", "error:")


def main() -> None:
    """Makes the environment `argv[1]` with the extras `argv[2]`."""
    if sys.version_info < OLDEST:
        stop(
            "Activation Lab needs Python {}.{} or newer; this is {}.{} ({}). "
            "Name a newer one: make demo PYTHON=python3.12".format(*OLDEST, *sys.version_info[:2], sys.executable)
        )
    venv, extras = Path(sys.argv[1]), sys.argv[2]
    stamp = venv / "installed.txt"
    if is_installed(stamp, extras):
        return
    started = time.monotonic()
    if not (venv / "bin" / "python").exists():
        say("Making a virtual environment in {}".format(venv))
        if subprocess.run([sys.executable, "-m", "venv", str(venv)], check=False).returncode != 0:
            stop("Python could not make a virtual environment. On Debian and Ubuntu: apt-get install python3-venv")
    say("Installing what {} needs (the first time takes a minute or two)".format(extras))
    install(venv, extras)
    stamp.write_text(fingerprint() + "\n" + extras)
    say("Set up in {:.0f} s".format(time.monotonic() - started))


def install(venv: Path, extras: str) -> None:
    """Runs pip and shows one line a package, overwritten in place where there is a terminal."""
    command = [str(venv / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    command += ["--prefer-binary", "--only-binary", ":all:", "--constraint", "constraints.txt"]
    command += ["--progress-bar", "off", "--editable", ".[{}]".format(extras)]
    lines = []
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line)
        if line.strip().startswith(SHOWN) and sys.stdout.isatty():
            print("\r\033[K  " + line.strip()[:100], end="", flush=True)
    if sys.stdout.isatty():
        print("\r\033[K", end="")
    if process.wait() != 0:
        print("".join(lines[-25:]))
        stop(
            "pip could not install what is needed; its last lines are above. Is a package index reachable, "
            "and does it have wheels for "
            "Python {}.{} on this machine?".format(*sys.version_info[:2])
        )


def is_installed(stamp: Path, extras: str) -> bool:
    """Whether these extras, perhaps among more, were installed from the files as they are now."""
    if not stamp.exists():
        return False
    made_from, installed = stamp.read_text().split("\n")
    return made_from == fingerprint() and set(extras.split(",")) <= set(installed.split(","))


def fingerprint() -> str:
    """Changes with whatever decides what gets installed."""
    inputs = [(ROOT / name).read_bytes() for name in ("pyproject.toml", "constraints.txt")]
    return hashlib.sha256(b"\0".join([*inputs, sys.version.encode()])).hexdigest()


def say(text: str) -> None:
    print("==> " + text, flush=True)


def stop(text: str) -> None:
    print("\n" + text, file=sys.stderr)
    sys.exit(1)


if __name__ == "__main__":
    main()
