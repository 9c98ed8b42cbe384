"""Bundle the dashboard: `python -m tools.web [DIRECTORY]` builds web/ into gzipped files and prints their sizes.

    web/*.html          pages; the scripts and style sheets that they name are bundled by esbuild
    web/src/            ES modules; what is imported with `import()` becomes a file of its own (a view, the chart)
    everything else     gzipped under its own name (openapi.json)

What a page refers to gets the hash of its content into its name (app.1a2b3c4d.js) and may be cached for ever; a small .svg is
put into the page itself. The same sources give the same bytes: no time stamps, no paths of this machine.
"""

import base64
import gzip
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WEB = ROOT / "web"
NPM = Path(sys.prefix) / "npm"
FIRST_VIEW_BYTES = 60 * 1024
FIRST_VIEW_REQUESTS = 6  # the page's one WebSocket is among them
FIRST_VIEW = "src/views/overview.js"
_REFERENCE = re.compile(r'(?<=[\s])(src|href)="([\w./-]+\.(?:js|css|svg))"')
_TARGET = "es2020"


class Problem(SystemExit):
    def __init__(self, text):
        super().__init__(f"web: {text}")


def packed(data):
    """`data` gzipped, the same bytes each time."""
    return gzip.compress(data, 9, mtime=0)


def references(page):
    """What the text of a page refers to: paths below web/."""
    return [found[1] for found in _REFERENCE.findall(page)]


def esbuild(entries, directory):
    """Bundle the `entries` (paths below web/) into `directory`. Gives esbuild's metafile: {output: {imports, entryPoint ...}}."""
    binary = NPM / "@esbuild" / "linux-x64" / "esbuild"
    if not binary.exists():
        raise Problem("esbuild is missing; run `make deps`")
    command = [
        binary, *entries, "--bundle", "--minify", "--splitting", "--format=esm", f"--target={_TARGET}", "--charset=utf8",
        "--legal-comments=none", "--entry-names=[name]-[hash]", "--chunk-names=[name]-[hash]", "--log-level=warning",
        f"--outdir={directory}", f"--metafile={directory}/meta.json",
    ]  # fmt: skip
    environment = dict(os.environ, NODE_PATH=str(NPM))
    done = subprocess.run(command, cwd=WEB, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise Problem(f"esbuild\n{done.stderr}")
    outputs = json.loads((directory / "meta.json").read_text())["outputs"]
    return {Path(path).name: about for path, about in outputs.items()}


def hashed_names(outputs, directory):
    """Give each output of esbuild its final name: the hash of its content, in which names are final already.

    Returns ({final name: bytes}, {name of esbuild: final name}). Files that import each other in a circle have no such name.
    """
    contents, final, open_names = {}, {}, set()

    def finish(name):
        if name in final:
            return
        if name in open_names:
            raise Problem(f"{name} is part of a circle of imports")
        open_names.add(name)
        data = (directory / name).read_bytes()
        for item in outputs[name]["imports"]:
            other = Path(item["path"]).name
            if other in outputs:
                finish(other)
                data = data.replace(other.encode(), final[other].encode())
        stem, suffix = name.rsplit("-", 1)[0], Path(name).suffix
        final[name] = f"{stem}.{hashlib.sha256(data).hexdigest()[:8]}{suffix}"
        contents[final[name]] = data

    for name in sorted(outputs):
        finish(name)
    return contents, final


def data_uri(path):
    return "data:image/svg+xml;base64," + base64.b64encode(path.read_bytes().strip()).decode()


def finish_page(page, entries):
    """The text of a page with its references replaced. `entries`: {source: final name}."""

    def replace(found):
        kind, source = found.groups()
        if source in entries:
            return f'{kind}="{entries[source]}"'
        return f'{kind}="{data_uri(WEB / source)}"'

    return re.sub(r"\n\s*", "\n", _REFERENCE.sub(replace, page))


def closure(name, outputs):
    """`name` and all that it imports at once."""
    found, left = set(), [name]
    while left:
        name = left.pop()
        if name in outputs and name not in found:
            found.add(name)
            left += [Path(item["path"]).name for item in outputs[name]["imports"] if item["kind"] != "dynamic-import"]
    return found


def bundle():
    """The whole page: ({file name: gzipped bytes}, [files of the first view])."""
    pages = {path.name: path.read_text() for path in sorted(WEB.glob("*.html"))}
    wanted = {source for page in pages.values() for source in references(page)}
    for source in sorted(wanted):
        if not (WEB / source).exists():
            raise Problem(f"a page refers to {source}, which is not there")
    code = sorted(source for source in wanted if not source.endswith(".svg"))
    files, first = {}, ["index.html"]
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        outputs = esbuild(code, directory)
        contents, final = hashed_names(outputs, directory)
        by_source = {about["entryPoint"]: name for name, about in outputs.items() if "entryPoint" in about}
        entries = {source: final[by_source[source]] for source in code}
        for source in [*references(pages["index.html"]), FIRST_VIEW]:
            if source in by_source:
                first += sorted({final[part] for part in closure(by_source[source], outputs)} - set(first))
    files.update({name: packed(data) for name, data in contents.items()})
    files.update({name: packed(finish_page(page, entries).encode()) for name, page in pages.items()})
    for path in sorted(WEB.iterdir()):
        if path.is_file() and path.name not in files and path.name not in wanted:
            files[path.name] = packed(path.read_bytes())
    return files, first


def check_budget(files, first):
    """Raises Problem when the first view is too large. Gives (bytes, requests)."""
    size, requests = sum(len(files[name]) for name in first), len(first) + 1
    if size > FIRST_VIEW_BYTES or requests > FIRST_VIEW_REQUESTS:
        raise Problem(
            f"the first view takes {size} bytes in {requests} requests ({', '.join(first)} and the WebSocket); "
            f"{FIRST_VIEW_BYTES} in {FIRST_VIEW_REQUESTS} are allowed"
        )
    return size, requests


def build(target):
    """Write all files as TARGET/NAME.gz, each replaced at once. Gives {NAME.gz: bytes}."""
    files, first = bundle()
    check_budget(files, first)
    target.mkdir(parents=True, exist_ok=True)
    # a page last: it refers to files that must be there
    for name, data in sorted(files.items(), key=lambda item: item[0].endswith(".html")):
        out = target / f"{name}.gz"
        if not out.exists() or out.read_bytes() != data:
            temporary = out.with_name(out.name + ".new")
            temporary.write_bytes(data)
            os.replace(temporary, out)
    return {f"{name}.gz": len(data) for name, data in files.items()}


def main():
    if len(sys.argv) > 1:
        build(Path(sys.argv[1]))
    files, first = bundle()
    for name, data in sorted(files.items(), key=lambda item: (item[0] not in first, -len(item[1]))):
        print(f"{len(data):7d} {'*' if name in first else ' '} {name}")
    size, requests = check_budget(files, first)
    print(
        f"first view (*): {size} bytes of {FIRST_VIEW_BYTES}, {requests} requests of {FIRST_VIEW_REQUESTS} (with the WebSocket)"
    )


if __name__ == "__main__":
    main()
