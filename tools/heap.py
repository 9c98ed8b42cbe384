"""What the gateway keeps of its heap, a module and a part: `python -m tools.heap` (64-bit port; builds build/host)."""

import shutil
import subprocess
import sys

from tools.build import ROOT, build
from tools.processes import micropython


def main():
    build("host")
    host = ROOT / "build" / "host"
    done = subprocess.run(
        [micropython(), "-X", "heapsize=4M", str(ROOT / "tools" / "bench" / "heap.py")],
        cwd=host,
        stderr=subprocess.PIPE,
        text=True,
    )
    shutil.rmtree(host / "heap-data", ignore_errors=True)
    if done.returncode:
        sys.stderr.write(done.stderr)
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
