"""The machine-readable API: complete, up to date, and true, which schemathesis tries out on the running gateway."""

import json
import re
import subprocess
import sys
from pathlib import Path

from tests.integration import reference
from tools import openapi
from tools.build import ROOT

DOCUMENT = json.loads(openapi.TARGET.read_text(encoding="utf-8"))
# A password that nobody knows would lock schemathesis out of everything else; only a real bundle is a good upload
NOT_TRIED = ["/api/auth/password", "/api/ota"]
EXAMPLES = 8


def test_the_file_is_made_from_the_present_sources():
    assert openapi.TARGET.read_text(encoding="utf-8") == openapi.text(), "run: python -m tools.openapi"


def test_every_endpoint_of_the_reference_is_in_it():
    for endpoint in reference.endpoints():
        path = endpoint.path.replace(":id", "{id}")
        operation = DOCUMENT["paths"][path][endpoint.method.lower()]
        for status in endpoint.responses:
            assert status in operation["responses"] or status >= "400", (str(endpoint), status)


def test_every_endpoint_of_the_gateway_is_in_it():
    there = {f"{method.upper()} {path}" for path, operations in DOCUMENT["paths"].items() for method in operations}
    found = set()
    for source in (ROOT / "firmware" / "http").glob("*.py"):
        if source.name != "api.py":  # its examples
            text = source.read_text()
            found.update(re.findall(r'"((?:GET|POST|DELETE) /(?:api/|metrics)[\w/*-]*(?:\.json)?)"', text))
    assert {name.replace("/*", "/{id}") for name in found} == there


def absent(running):
    """Paths of the parts that this gateway does not have."""
    result = []
    for path, operations in DOCUMENT["paths"].items():
        if "{" not in path:
            method = "GET" if "get" in operations else "POST"
            data = None if method == "GET" else {}
            reply = running.http(path, method, data)
            if reply.status == 503 and reply.json["code"] == "NOT_AVAILABLE":
                result.append(path)
    return result


def test_schemathesis(running):
    left_out = "|".join("^" + re.escape(path) for path in absent(running) + NOT_TRIED)
    before = max(running.gateway.status()["free_heap"] for _ in range(12))
    done = subprocess.run(
        [
            Path(sys.executable).parent / "st", "run", running.gateway.url + "/api/openapi.json", "--checks", "all",
            "--max-examples", str(EXAMPLES), "--seed", "7", "--exclude-path-regex", left_out, "--no-color",
        ],
        capture_output=True, text=True, timeout=900, cwd=running.directory, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert running.gateway.status()["battery"]["status"]
    after = max(running.gateway.status()["free_heap"] for _ in range(12))
    assert after > before - 90_000, "heap"  # every module of the API is loaded now
