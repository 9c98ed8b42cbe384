"""lib/package.json (mip) and lib/manifest.py (freezing) against lib/manifest.json and the tree."""

import json
import runpy

from tools.build import ROOT
from tools.deps import device_packages
from tools.manifest import application_version

LIB = ROOT / "lib"
PACKAGES = {package["package"]: package for package in device_packages()}


def test_what_mip_installs():
    described = json.loads((LIB / "package.json").read_text())
    assert described["version"] == application_version()
    microdot = PACKAGES["microdot"]
    wanted = {f"microdot/{module}.py" for module in microdot["modules"]}
    assert {target for target, _ in described["urls"]} == wanted
    for target, url in described["urls"]:
        tag, path = url.removeprefix("https://raw.githubusercontent.com/miguelgrinberg/microdot/").split("/", 1)
        assert (tag, path) == (f"v{microdot['version']}", f"src/{target}")
        assert (LIB / target).exists()
    # umqtt.simple is in official images; its numbers on PyPI and in micropython-lib differ
    assert [name for name, _ in described["deps"]] == ["umqtt.simple"]
    assert [name for name, _ in described["optional"]] == ["aioble"]


def frozen():
    """What lib/manifest.py asks for: {function: [(arguments, options)]}."""
    calls = {name: [] for name in ("metadata", "include", "require", "package", "module", "freeze")}

    def note(name):
        return lambda *arguments, **options: calls[name].append((arguments, options))

    runpy.run_path(str(LIB / "manifest.py"), {name: note(name) for name in calls})
    return calls


def test_what_is_frozen():
    calls = frozen()
    assert calls["metadata"][0][1]["version"] == application_version()
    assert [arguments[0] for arguments, _ in calls["require"]] == ["umqtt.simple", "aioble"]
    packages = {arguments[0]: options for arguments, options in calls["package"]}
    assert set(packages) == {"firmware", "microdot"}
    for name, options in packages.items():
        directory = LIB / options["base_path"] / name
        assert directory.is_dir()
        for file in options.get("files", ()):
            assert (directory / file).is_file()
    assert {file[:-3] for file in packages["microdot"]["files"]} == set(PACKAGES["microdot"]["modules"])
    assert all(
        (path / "__init__.py").exists()
        for path in (LIB.parent / "firmware").iterdir()
        if path.is_dir() and path.name[0] != "_"
    )
