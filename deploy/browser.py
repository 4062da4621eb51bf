"""Installs Debian's Chromium for the browser tests where that is possible; says loudly what is skipped where not."""

import os
import shutil
import subprocess
import sys

if not shutil.which("chromium"):
    if os.geteuid() == 0 and shutil.which("apt-get"):
        print("==> Installing chromium for the browser tests", flush=True)
        environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for arguments in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", "chromium"]):
            done = subprocess.run(["apt-get", *arguments], env=environ, check=False, capture_output=True, text=True)
            if done.returncode != 0:
                print(done.stdout[-2000:] + done.stderr[-2000:], file=sys.stderr)
                print("!!! chromium could not be installed: the browser tests will be skipped", file=sys.stderr)
                break
    else:
        print(
            "!!! no chromium here, and no root with apt to install it: the browser tests will be skipped",
            file=sys.stderr,
        )
