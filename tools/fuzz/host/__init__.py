"""The targets, on the host: what hypothesis draws for each (`CASES`), and what is true of every answer (`CHECKS`)."""

from __future__ import annotations

from tools.fuzz.host import files, http, net, wires
from tools.fuzz.host.common import mutant

CASES = {
    "uart": wires.uart(), "slcan": wires.slcan, "bundle": files.bundle(), "stored": files.stored, "body": files.body,
    "mqtt": net.mqtt, "dns": net.dns, "ntp": net.ntp, "captive": net.captive,
    "http": http.http(), "multipart": http.multipart(), "websocket": http.websocket,
}  # fmt: skip
_FOUND = {name: check for part in (wires, files, net, http) for name, check in vars(part).items()}
CHECKS = {name: _FOUND.get("check_" + name, lambda case, told: None) for name in CASES}
LEAST = {"multipart": 2, "uart": 2}  # bytes that a mutant keeps: they say how the case is cut

__all__ = ["CASES", "CHECKS", "LEAST", "mutant"]
