"""What the gateway says in English is known in French to the page: the texts are read from the sources of the firmware."""

import ast
import json
import re
import shutil
import subprocess

import pytest

from tools.processes import ROOT
from tools import wasm

# Files whose refusals and reasons a page shows
FILES = """
    can/reasons bms/why bms/poller bms/commands bms/catalogue config/rules config/form board/pins system/health
    system/update system/image system/bundle system/archive system/manifest system/install mqtt/client mqtt/opening mqtt/tls
    mqtt/probe mqtt/peer mqtt/session net/dns net/scan http/alerts_api http/auth http/auth_api http/body http/config_api
    http/login http/mqtt_api http/origin http/ota_api http/registers_api http/web http/wifi_api
""".split()
# What no page of ours brings about, or shows: other clients do
OTHERS = (
    "Malformed", "unknown key; known", "expected ", "nested too deep", "names must be strings", "Body cut off", "Bad request",
    "the form has ", "Invalid multipart", "Unsupported media", " must be a time ", "file must be ", "damaged PEM",
    "registers 5+5", "register 5 = 5", "command 5", "option 5", "log in as ",
)  # fmt: skip
_ENGLISH = re.compile(r"\b(the|must|is|are|not|of|for|with|and|has|have|no|does|cannot|was|be)\b")
_SAMPLES = {  # where any word does not do
    "refused (%d: %s)": ["refused (5: not authorized)", "refused (2: client id)", "refused (9: ?)"],
    "must be %s characters": ["must be printable characters", "must be printable ASCII characters"],
    "not free on modules ": ["not free on modules with octal PSRAM", "not free on modules with PSRAM, nor on an ESP32-PICO"],
    "%d.%03d V": [], "%s%d.%d C": [], "%d.%d %s": [], "%s %s": [], "%s: %s": [], "%d: %s": [],
}  # fmt: skip


def strings(node):
    """The texts that an expression may be, with what is filled in as 5 or x."""
    if isinstance(node, ast.Constant):
        return [node.value] if isinstance(node.value, str) else []
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
        left = node.left
        if isinstance(left, ast.Constant) and left.value in _SAMPLES:
            return _SAMPLES[left.value]
        return [filled(text) for text in strings(left)]
    if isinstance(node, ast.BinOp):
        if isinstance(node.left, ast.Constant) and node.left.value in _SAMPLES:
            return _SAMPLES[node.left.value]
        return [one + (other or "5") for one in strings(node.left) for other in (strings(node.right) or [""])]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
        return [re.sub(r"\{[^}]*\}", "5", text) for text in strings(node.func.value)]
    if isinstance(node, ast.IfExp):
        return strings(node.body) + strings(node.orelse)
    if isinstance(node, ast.Tuple | ast.List):
        return [text for part in node.elts for text in strings(part)]
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") != "_Chip":
        return [text for part in node.args for text in strings(part)]
    return []


def filled(text):
    """`text` with 5 for each number and x for each word."""
    return re.sub(r"%[0-9.]*[sr]", "x", re.sub(r"%[0-9.]*[dX]", "5", text)).replace("%%", "%")


def texts(path):
    """What the module returns, raises, yields or calls a text, a reason or details."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Raise | ast.Return | ast.Yield):
            found = strings(getattr(node, "exc", None) or getattr(node, "value", None) or ast.Constant(0))
        elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in (
            "text",
            "details",
            "TEXTS",
            "why",
            "reason",
        ):
            found = strings(node.value)
        elif isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in (
            "_failed",
            "Failure",
        ):
            found = [text for part in node.args for text in strings(part)]
        else:
            continue
        for text in found:
            text = re.sub(r"\{(\w+)\}", "5", text)
            if re.search(r"[a-z]{2,} ?\S* [a-z]*|^[A-Z][a-z]+ [a-z]+", text) and " " in text:
                yield text


@pytest.fixture(scope="module")
def french(tmp_path_factory):
    """A function: the texts as the page says them in French."""
    directory = tmp_path_factory.mktemp("french")
    shutil.copy(ROOT / "web" / "src" / "shell" / "french.js", directory / "french.mjs")
    code = "import {french} from './french.mjs'; import {readFileSync} from 'node:fs';"
    code += "console.log(JSON.stringify(JSON.parse(readFileSync(0)).map(french)));"

    def run(all_texts):
        command = [wasm.node(), "--input-type=module", "-e", code]
        done = subprocess.run(command, input=json.dumps(all_texts), capture_output=True, text=True, cwd=directory)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.mark.parametrize("name", FILES)
def test_what_the_firmware_says_is_known_in_french(french, name):
    said = [text for text in texts(ROOT / "firmware" / f"{name}.py") if not any(other in text for other in OTHERS)]
    missing = [
        f"{text!r} -> {words!r}" for text, words in zip(said, french(said), strict=True)
        if words == text or _ENGLISH.search(words)
    ]  # fmt: skip
    assert not missing, "\n".join(missing)


def test_texts_with_their_values(french):
    rows = {
        "cell 7 at 3.471 V": "cellule 7 à 3,471 V",
        "EXT2 at -5.0 C, cold": "sonde EXT2 à -5,0 C, froid",
        "BMS fault 0x03, warning 0x37": "BMS : défaut 0x03, avertissement 0x37",
        "settings: no answer": "réglages : pas de réponse",
        "status 0x10 is unknown": "état 0x10 inconnu",
        "a_min must be below a_max (90)": "a_min doit rester sous a_max (90)",
        "can_tx_pin 12: console or USB of the chip": "can_tx_pin 12: console ou USB de la puce",
        "no answer from 192.168.1.9": "pas de réponse de 192.168.1.9",
        "firmware/app.mpy has the wrong hash": "firmware/app.mpy n’a pas la bonne empreinte",
        "safe mode: no answer": "mode sans échec: pas de réponse",
        "NO_ACK": "NO_ACK",
        "[Errno 111] ECONNREFUSED": "[Errno 111] ECONNREFUSED",
        "version 1.27.0": "version 1.27.0",
    }
    assert dict(zip(rows, french(list(rows)), strict=True)) == rows
