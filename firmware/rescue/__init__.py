"""What runs when no slot is sound: a page that takes an update bundle. Built into /rescue.mpy, which no update replaces.

It needs nothing of the application: the build puts the bundle reader (firmware/system/bundle.py and what that imports) into it.
One request after the other, blocking; CAN stays silent. On a board it is an access point with the password of /data/ap_password,
or one that is made up and shown on the console. POST /api/ota takes the same form as the application, without a password: who
is here holds the one of the access point.
"""

import binascii
import json
import os
import socket
import sys
import time
from micropython import const
from firmware.rescue.form import HEAD_MAX, PIECE, Body, Refused, file_of_form
from firmware.system.archive import BundleError
from firmware.system.bundle import check, empty, unpack, verify

_IDLE_S = const(600)  # without a request: the next start looks at the slots again
_CLIENT_S = const(15)
_UPLOAD_MAX = const(4194304)
_ENOSPC = const(28)
# chip, word whose bit 19 is the clock of the CAN controller, the controller's mode register
_CAN = (
    ("ESP32", 0x3FF000C0, 0x3FF6B000),
    ("ESP32S3", 0x600C0018, 0x6002B000),
    ("ESP32C3", 0x600C0010, 0x6002B000),
)
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"

_PAGE = """<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>TinyBMS-GW</title><style>body{font:16px sans-serif;max-width:36em;margin:2em auto;padding:0 1em}</style>
<h1>TinyBMS-GW</h1>%s
<p>Aucune application valide. CAN est muet. Envoyez un fichier <b>.bundle</b>, la passerelle redémarre ensuite.
<p>No valid application. CAN is silent. Send a <b>.bundle</b> file, the gateway restarts then.
<form method="post" action="/api/ota" enctype="multipart/form-data">
<p><input type="file" name="firmware" accept=".bundle" required> <button>Envoyer / Send</button></form>
<ul>%s</ul>"""
_REASONS = {
    200: "OK",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    413: "Payload Too Large",
    503: "Service Unavailable",
}


class Host:
    """A computer: listens where the options say, and tells tools/run."""

    def __init__(self, root):
        options = dict(zip(sys.argv[1:], sys.argv[2:]))
        self.address = options.get("--host", "127.0.0.1"), int(options.get("--port", "8080"))

    def say(self, port):
        sys.stdout.write("http %s:%d\n" % (self.address[0], port))

    def reset(self):
        raise SystemExit(42)


class Esp32:
    """A board: an access point, and the CAN controller off the bus."""

    address = ("0.0.0.0", 80)

    def __init__(self, root):
        import network

        self._silence_can()
        self.password = self._password(root + "/data/ap_password")
        self._wlan = network.WLAN(network.AP_IF)
        self._wlan.active(True)
        self.ssid = "TinyBMS-GW-rescue"
        self._wlan.config(ssid=self.ssid, security=3, key=self.password)  # 3: WPA2-PSK

    @staticmethod
    def _silence_can():
        """Reset mode, where its clock runs: the controller survives all resets but power on (esp32_micropython facts 1.3)."""
        from machine import mem32

        chip = sys.implementation._machine.rsplit(" with ", 1)[-1].replace("-", "").upper()
        for name, clock, base in _CAN:
            if (chip == name or (name != "ESP32" and chip.startswith(name))) and mem32[clock] & 1 << 19:
                mem32[base] = 1

    @staticmethod
    def _password(path):
        try:
            with open(path) as file:
                kept = file.read(64).strip()
            if 8 <= len(kept) <= 63:
                return kept
        except (OSError, ValueError):
            pass
        return "".join([_LETTERS[byte % len(_LETTERS)] for byte in os.urandom(10)])

    def say(self, port):
        sys.stdout.write("TinyBMS-GW: rescue page at http://%s, WiFi %s, password %s\n" % (
            self._wlan.ifconfig()[0], self.ssid, self.password))  # fmt: skip

    def reset(self):
        import machine

        machine.reset()


class Rescue:
    """`faults`: {slot: what is wrong with it}; `target`: the one that is replaced."""

    def __init__(self, root, faults, target, machine):
        self._root, self._faults, self._target, self._machine = root, faults, target, machine
        self.done = False

    def serve(self):
        """Answer requests until an update is in or nobody has come for long; then restart."""
        server, port = _listen(*self._machine.address)
        server.settimeout(_IDLE_S)
        self._machine.say(port)
        while not self.done:
            try:
                client = server.accept()[0]
            except OSError:
                break
            try:
                client.settimeout(_CLIENT_S)
                self._answer(client)
            except (OSError, ValueError, IndexError, MemoryError):
                pass  # the client has gone, or talks nonsense
            finally:
                client.close()
        server.close()
        time.sleep(1)
        self._machine.reset()

    def _answer(self, client):
        text = b""
        while b"\r\n\r\n" not in text:
            piece = client.recv(PIECE)
            if not piece or len(text) > HEAD_MAX:
                return
            text += piece
        head, _, begun = text.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        method, path = lines[0].split(" ")[:2]
        fields = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            fields[name.strip().lower()] = value.strip()
        try:
            status, answer = 200, self._handle(method, path, fields, client, begun)
        except Refused as error:
            status, answer = error.args[0], {"error": "Refused", "code": error.args[1], "details": error.args[2]}
        if path == "/" or "text/html" in fields.get("accept", ""):
            kind, answer = "text/html; charset=UTF-8", self._page("" if path == "/" else json.dumps(answer))
        else:
            kind, answer = "application/json", json.dumps(answer)
        answer = answer.encode()
        head = "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
        _send(client, (head % (status, _REASONS[status], kind, len(answer))).encode())
        if method != "HEAD":
            _send(client, answer)

    def _page(self, message):
        faults = "".join(["<li>%s: %s" % (slot, _plain(why)) for slot, why in sorted(self._faults.items())])
        return _PAGE % ("<p><b>%s</b>" % _plain(message) if message else "", faults)

    def _handle(self, method, path, fields, client, begun):
        """The answer as an object. Raises Refused."""
        if method in ("GET", "HEAD"):
            if path in ("/", "/api/status", "/api/system/info", "/api/ota"):
                return {"rescue": True, "faults": self._faults}
            raise Refused(404, "NOT_FOUND", "only the rescue page is left")
        if method != "POST" or path != "/api/ota":
            raise Refused(404, "NOT_FOUND", "only the rescue page is left")
        origin = fields.get("origin", "")
        if origin and origin.split("://")[-1] != fields.get("host"):
            raise Refused(403, "FORBIDDEN_ORIGIN", "another page has sent this")
        size = fields.get("content-length", "")
        if not size.isdigit():
            raise Refused(400, "INVALID_FORM", "no Content-Length")
        if int(size) > _UPLOAD_MAX:
            raise Refused(413, "PAYLOAD_TOO_LARGE", "more than %d bytes" % _UPLOAD_MAX)
        if fields.get("expect"):
            _send(client, b"HTTP/1.1 100 Continue\r\n\r\n")
        try:
            return self._update(Body(client, begun, int(size)), fields.get("content-type", ""))
        except BundleError as error:
            raise Refused(400, error.code, str(error))
        except OSError as error:
            if error.errno == _ENOSPC:
                raise Refused(413, "PAYLOAD_TOO_LARGE", "the flash is full")
            raise

    # -- update --------------------------------------------------------------------------------------------------------

    def _update(self, body, kind):
        directory = self._root + "/" + self._target
        spool = directory + ".new"
        for _ in empty(directory):  # nothing there can be started: its room is needed
            pass
        crc = count = 0
        try:
            with open(spool, "wb") as file:

                def take(piece):
                    nonlocal crc, count
                    if file.write(piece) != len(piece):
                        raise OSError(_ENOSPC)
                    crc = binascii.crc32(piece, crc)
                    count += len(piece)

                file_of_form(body, kind, take)
            version = self._install(spool, directory)
        finally:
            _remove(spool)
        self._select()
        self.done = True
        return {"status": "ok", "bytes": count, "crc32": "%08X" % crc, "partition": self._target, "version": version,
                "reboot_required": False}  # fmt: skip

    def _install(self, spool, directory):
        family = {2: "x64", 10: "xtensawin", 11: "rv32imc"}.get(sys.implementation._mpy >> 10 & 15, "")
        with open(spool, "rb") as file:
            for _ in check(file, family, sys.implementation.version):
                pass
            for _ in unpack(file, directory):
                pass
        for _ in verify(directory):
            pass
        with open(directory + "/manifest.json") as file:
            return json.load(file)["version"]

    def _select(self):
        path = self._root + "/slots.json"
        with open(path + ".new", "w") as file:
            json.dump({"active": self._target, "trial": 0}, file)
        os.rename(path + ".new", path)


def _remove(path):
    try:
        os.remove(path)
    except OSError:
        pass


def _plain(text):
    return text.replace("&", "&amp;").replace("<", "&lt;")


def _send(client, data):
    while data:
        data = data[client.send(data) :]


def _listen(host, port):
    """(listening socket, its port); port 0 takes any free one. Raises OSError."""
    for _ in range(20):
        tried = port or 20_000 + int.from_bytes(os.urandom(2), "big") % 40_000
        server = socket.socket()
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind(socket.getaddrinfo(host, tried)[0][-1])
            server.listen(2)
            return server, tried
        except OSError as error:
            server.close()
            if port:
                raise error
    raise OSError("no free port")


def run(root, faults, target):
    """Never returns. `root`: the directory of the slots without a slash at the end."""
    machine = (Esp32 if sys.platform == "esp32" else Host)(root)
    Rescue(root, faults, target, machine).serve()
