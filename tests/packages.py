"""Programs of the distribution that a test needs: installed when we may, else the test is skipped and says which package."""

import fcntl
import functools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

_TIMEOUT_S = 600


def _apt(*arguments):
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    command = ["apt-get", "-y", "-o", f"DPkg::Lock::Timeout={_TIMEOUT_S}", *arguments]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, timeout=_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


@functools.cache
def _install(package):
    if not hasattr(os, "geteuid") or os.geteuid() != 0 or not shutil.which("apt-get"):
        return
    install = ("install", "--no-install-recommends", package)
    with open(Path(tempfile.gettempdir()) / "tinybms-gw-apt.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # test files run side by side, apt does not
        if not _apt(*install) and _apt("update"):
            _apt(*install)


def require_package(binary, package):
    """The path of `binary`; installs Debian `package` when it is missing and we are root, else skips the test."""
    path = shutil.which(binary)
    if path is None:
        _install(package)
        path = shutil.which(binary)
    if path is None:
        pytest.skip(f"{binary} is missing: apt-get install {package}")
    return path
