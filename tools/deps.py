"""Fetch what the project needs, pinned by version and hash: `python3 tools/deps.py run|board|dev`.

`.venv/` gets the tools (tools/requirements-run.txt; `board` and `dev` also theirs) and the npm packages of tools/npm.json
(`.venv/npm/NAME`, no Node needed), `lib/` gets the device libraries of lib/manifest.json. Runs under the system's Python with
nothing installed. What is there already is not fetched again.
"""

import argparse
import base64
import hashlib
import html.parser
import io
import json
import os
import subprocess
import sys
import tarfile
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
VERSIONS = ((3, 10), (3, 14))


def fail(text):
    raise SystemExit(f"deps: {text}")


# -- the virtual environment ---------------------------------------------------------------------------------------------


def make_venv():
    python, made = VENV / "bin" / "python", VENV / ".made"
    if made.exists() and subprocess.run([str(python), "-c", ""], capture_output=True).returncode == 0:
        return
    if not VERSIONS[0] <= sys.version_info[:2] <= VERSIONS[1]:
        fail(f"Python 3.10 to 3.14 is needed, this is {sys.version.split()[0]}")
    result = subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], capture_output=True, text=True)
    if result.returncode:
        fail(f"cannot make a virtual environment (on Debian: apt install python3-venv)\n{result.stdout}{result.stderr}")
    made.touch()


def install(name):
    """Install tools/requirements-NAME.txt unless the same file was installed before."""
    requirements = ROOT / "tools" / f"requirements-{name}.txt"
    stamp = VENV / f".{name}-{hashlib.sha256(requirements.read_bytes()).hexdigest()[:16]}"
    if stamp.exists():
        return
    print(f"deps: installing {requirements.relative_to(ROOT)} into .venv", flush=True)
    command = [str(VENV / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    result = subprocess.run(
        # esptool comes as source only
        [*command, "--require-hashes", "--only-binary", ":all:", "--no-binary", "esptool", "-r", str(requirements)],
        capture_output=True,
        text=True,
    )
    if result.returncode:
        missing = [line for line in requirements.read_text().splitlines() if "==" in line and line[0].isalnum()]
        fail(
            f"pip failed (no network?). Needed: {', '.join(m.split(' ')[0] for m in missing)}\n{result.stderr[-2000:]}"
        )
    for old in VENV.glob(f".{name}-*"):
        old.unlink()
    stamp.touch()


# -- device libraries ----------------------------------------------------------------------------------------------------


def device_packages():
    """The packages of lib/manifest.json, a dict each."""
    return json.loads((ROOT / "lib" / "manifest.json").read_text())["packages"]


def index_urls():
    """The simple indexes that pip is configured for, the main one first."""
    python = VENV / "bin" / "python" if (VENV / "bin" / "python").exists() else sys.executable
    listed = subprocess.run([str(python), "-m", "pip", "config", "list"], capture_output=True, text=True).stdout
    settings = {}
    for line in listed.splitlines():
        key, _, value = line.partition("=")
        settings.setdefault(key.split(".")[-1], value.strip().strip("'\""))
    main = os.environ.get("PIP_INDEX_URL") or settings.get("index-url") or "https://pypi.org/simple"
    extra = os.environ.get("PIP_EXTRA_INDEX_URL") or settings.get("extra-index-url") or ""
    return [url.rstrip("/") for url in [main, *extra.replace("\\n", " ").split()] if url]


class Links(html.parser.HTMLParser):
    """The href of every link of an index page."""

    def __init__(self):
        super().__init__()
        self.hrefs = []

    def handle_starttag(self, tag, attributes):
        if tag == "a":
            self.hrefs += [value for key, value in attributes if key == "href"]


def fetch_file(project, filename):
    """The bytes of `filename` of `project`, from the first index that has it."""
    reasons = []
    for index in index_urls():
        page = f"{index}/{project}/"
        try:
            with urllib.request.urlopen(page, timeout=60) as answer:
                links = Links()
                links.feed(answer.read().decode())
            for href in links.hrefs:
                url = urllib.parse.urljoin(page, href)
                if urllib.parse.unquote(urllib.parse.urlparse(url).path).endswith("/" + filename):
                    with urllib.request.urlopen(url, timeout=60) as answer:
                        return answer.read()
            reasons.append(f"{page}: no {filename}")
        except (urllib.error.URLError, OSError, ValueError) as error:
            reasons.append(f"{page}: {error}")
    fail(f"{filename} is missing and cannot be fetched (no network?)\n  " + "\n  ".join(reasons))


def members(data, filename):
    """{path inside: bytes} of a wheel or an sdist."""
    if filename.endswith(".whl"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return {name: archive.read(name) for name in archive.namelist()}
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
        return {m.name: archive.extractfile(m).read() for m in archive.getmembers() if m.isfile()}


def install_library(package):
    """Fill lib/PACKAGE with the modules used, unless this version is there."""
    target = ROOT / "lib" / package["package"]
    stamp = target / f".{package['version']}-{package['sha256'][:16]}"
    wanted = [target / f"{module}.py" for module in package["modules"]]
    if stamp.exists() and all(path.exists() for path in wanted):
        return
    print(f"deps: fetching {package['name']} {package['version']} into lib/", flush=True)
    data = fetch_file(package["name"], package["file"])
    found = hashlib.sha256(data).hexdigest()
    if found != package["sha256"]:
        fail(f"{package['file']} has SHA-256 {found}, lib/manifest.json says {package['sha256']}: refused")
    files = members(data, package["file"])
    target.mkdir(parents=True, exist_ok=True)
    for path in wanted:
        path.write_bytes(files[f"{package['inside']}/{path.name}"])
    stamp.touch()


# -- npm packages --------------------------------------------------------------------------------------------------------


def npm_registry():
    """The registry that npm is configured for."""
    settings = {}
    try:
        for line in (Path.home() / ".npmrc").read_text().splitlines():
            key, _, value = line.partition("=")
            settings[key.strip()] = value.strip()
    except OSError:
        pass
    named = os.environ.get("npm_config_registry") or os.environ.get("NPM_CONFIG_REGISTRY") or settings.get("registry")  # noqa: SIM112
    return (named or "https://registry.npmjs.org").rstrip("/")


def install_npm(package):
    """Fill .venv/npm/NAME with the files that tools/npm.json names, unless this version is there."""
    name, version, integrity = package["name"], package["version"], package["integrity"]
    target = VENV / "npm" / name
    stamp = target / ".version"
    wanted = {inside: target / Path(inside).name for inside in package["files"]}
    said = f"{version} {integrity} {' '.join(sorted(wanted))}"
    if stamp.exists() and stamp.read_text() == said and all(path.exists() for path in wanted.values()):
        return
    print(f"deps: fetching {name} {version} into .venv/npm/", flush=True)
    url = f"{npm_registry()}/{name}/-/{name.split('/')[-1]}-{version}.tgz"
    try:
        with urllib.request.urlopen(url, timeout=180) as answer:
            data = answer.read()
    except (urllib.error.URLError, OSError, ValueError) as error:
        fail(f"{url} cannot be fetched (no network?): {error}")
    found = "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()
    if found != integrity:
        fail(f"{url} has {found}, tools/npm.json says {integrity}: refused")
    files = members(data, ".tgz")
    target.mkdir(parents=True, exist_ok=True)
    for inside, path in wanted.items():
        path.write_bytes(files[f"package/{inside}"])
        if inside.startswith("bin/"):
            path.chmod(0o755)
    stamp.write_text(said)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "what", choices=("run", "board", "dev"), help="run: to start the gateway; board: to flash one; dev: to test it"
    )
    options = parser.parse_args()
    make_venv()
    for what in {"run": ["run"], "board": ["run", "board"], "dev": ["run", "board", "dev"]}[options.what]:
        install(what)
    for package in json.loads((ROOT / "tools" / "npm.json").read_text())["packages"]:
        if package["for"] == "run" or package["for"] == options.what:
            install_npm(package)
    for package in device_packages():
        install_library(package)


if __name__ == "__main__":
    main()
