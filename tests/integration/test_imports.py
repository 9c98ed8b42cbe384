"""What tools/check_imports.py finds: each rule of the house broken once."""

import pytest
from tools.check_imports import ROOT, breaches


@pytest.mark.parametrize(
    "file, text, told",
    [
        ("can/can.py", "import machine", "machine belongs to"),
        ("system/led.py", "def f():\n    from network import WLAN", "network belongs to"),
        ("bms/bms.py", "from firmware.can import frames", "must not know firmware.can"),
        ("live.py", "from firmware import bms", "must not know firmware.bms"),
        ("mqtt/part.py", "from firmware.rescue import run", "must not know firmware.rescue"),
        ("history/ring.py", "from . import days", "relative"),
        ("mqtt/client.py", "from microdot import Microdot", "microdot belongs to http/"),
        ("alerts/seen.py", 'from firmware.lazy import once\nonce("mqtt.peer")', "must not load firmware.mqtt.peer"),
        ("http/web.py", 'from firmware import lazy\nlazy.load("net.wifi")', "must not load firmware.net.wifi"),
    ],
)
def test_a_breach_is_found(tmp_path, file, text, told):
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    (found,) = breaches(tmp_path)
    assert found.startswith(f"firmware/{file}:") and told in found


@pytest.mark.parametrize(
    "file, text",
    [
        ("can/twai_setup.py", "from machine import mem32"),
        ("net/wifi.py", "import network\nimport aioble"),
        ("board/esp32.py", "import machine\nfrom firmware.can import twai"),
        ("app.py", "from firmware import bms, can"),
        ("bms/bms.py", "from firmware import bus, live\nfrom firmware.bms import frames\nimport asyncio"),
        ("http/ota_api.py", 'from firmware.lazy import once\nonce("system.slots")\nonce("http.multipart")'),
    ],
)
def test_what_is_allowed(tmp_path, file, text):
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    assert not list(breaches(tmp_path))


def test_the_firmware_keeps_the_rule():
    assert not list(breaches(ROOT / "firmware"))
