"""A Mosquitto of our own for a test, and its command line clients."""

import json
import shutil
import socket
import subprocess
import time
from pathlib import Path

from tests.integration.parts import Gateway, wait_for
from tests.packages import require_package
from tools.processes import HOST_BUILD, Child, gateway_command

PROBE = Path(__file__).with_name("probe_main.py")


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def openssl(*arguments, cwd):
    subprocess.run([shutil.which("openssl") or "openssl", *arguments], cwd=cwd, check=True, capture_output=True)


class Certificates:
    """A CA and certificates in a directory: ca, good (broker.test), expired (broker.test), client; each NAME.pem and NAME.key."""

    def __init__(self, directory):
        self.directory = directory
        ca = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650", "-subj", "/CN=Test CA")
        openssl(*ca, "-keyout", "ca.key", "-out", "ca.pem", cwd=directory)
        self._make("good", "broker.test", "365")
        self._make("expired", "broker.test", "-1")
        self._make("client", "gateway", "365")

    def _make(self, name, subject, days):
        (self.directory / "san").write_text(f"subjectAltName=DNS:{subject}")
        request = ("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={subject}")
        openssl(*request, "-keyout", f"{name}.key", "-out", f"{name}.csr", cwd=self.directory)
        sign = ("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial")
        openssl(*sign, "-out", f"{name}.pem", "-days", days, "-extfile", "san", cwd=self.directory)

    def path(self, name):
        return str(self.directory / name)


class Broker:
    """`lines` of mosquitto.conf are added to those of one listener. Its files lie in the directory of `parts`."""

    def __init__(self, parts, *lines, port=None, anonymous=True):
        require_package("mosquitto_sub", "mosquitto-clients")
        self.binary = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
        self.binary = self.binary or require_package("mosquitto", "mosquitto")
        self.parts, self.port = parts, port or free_port()
        self.uri = f"mqtt://127.0.0.1:{self.port}"
        self.config = parts.directory / f"mosquitto{self.port}.conf"
        own = ("user root", "log_type error", "log_type warning", "log_type notice", f"listener {self.port} 127.0.0.1")
        allow = f"allow_anonymous {str(anonymous).lower()}"
        self.config.write_text("\n".join((*own, allow, *map(str, lines))) + "\n")
        self.start()

    def start(self):
        self.child = self.parts.start("mosquitto", [self.binary, "-c", self.config])
        wait_for(self.listens, 10, "mosquitto")
        return self

    def listens(self):
        assert self.child.exit_code() is None, self.child.tail()
        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self):
        self.child.stop()

    def sub(self, *topics, options=()):
        """A subscriber: see `Subscriber`."""
        return Subscriber(self, topics, options)

    def pub(self, topic, payload="", *options):
        self.client("mosquitto_pub", *options, "-t", topic, "-m", payload)

    def client(self, name, *options, stdin=None):
        command = [shutil.which(name), "-h", "127.0.0.1", "-p", str(self.port), *options]
        return subprocess.run(command, check=True, timeout=60, input=stdin, capture_output=True)


class Subscriber:
    """What comes on `topics`: `messages` is a list of (topic, retained, qos, payload text)."""

    def __init__(self, broker, topics, options):
        self.path = broker.parts.directory / f"sub{time.monotonic_ns()}"
        command = [shutil.which("mosquitto_sub"), "-h", "127.0.0.1", "-p", broker.port, "-q", 1, "-d"]
        for topic in topics:
            command += ["-t", topic]
        command += ["-F", ">> %t %r %q %p", *options]
        self.child = broker.parts.start("mosquitto_sub", ["stdbuf", "-oL", *command])
        self.child.wait_line("Subscribed", 10)

    @property
    def messages(self):
        lines = [[*line[3:].split(" ", 3), ""] for line in list(self.child.lines) if line.startswith(">> ")]
        return [(topic, retained == "1", int(qos), payload) for topic, retained, qos, payload, *_ in lines]

    def on(self, topic):
        """Payloads of one topic."""
        return [message[3] for message in self.messages if message[0] == topic]

    def wait(self, topic, seconds=15, match=lambda text: True):
        """The first payload on `topic` for which `match(text)` holds."""
        return wait_for(
            lambda: [p for p in self.on(topic) if match(p)] or None, seconds, f"{topic} of {self.messages}"
        )[0]

    def settle(self, quiet=1, seconds=30):
        """Wait until nothing has come for `quiet` seconds; gives the messages."""
        deadline, count, since = time.monotonic() + seconds, -1, 0
        while count < len(self.messages) or time.monotonic() - since < quiet:
            now = time.monotonic()
            assert now < deadline, f"messages go on coming for {seconds} s"
            if count < len(self.messages):
                count, since = len(self.messages), now
            time.sleep(0.05)
        return self.messages

    def json(self, topic, seconds=15):
        return json.loads(self.wait(topic, seconds))


def start_gateway(parts, config, env=None):
    """The gateway with the probe in its loop, on the simulators of `parts`. `config`: the object of POST /api/config."""
    path = parts.directory / "config.json"
    path.write_text(json.dumps(config))
    command = gateway_command(
        parts.uart_url or "socket://127.0.0.1:9", parts.can_url or "slcan+socket://127.0.0.1:9", parts.data, config=path
    )
    command[command.index("main.py")] = str(PROBE)
    child = Child("gateway", command, parts.directory / "gateway.log", cwd=HOST_BUILD, env=env)
    parts.children.append(child)
    parts.gateway = Gateway(child)
    return parts.gateway


def longest_hold(gateway):
    """Milliseconds for which one step held the loop, at most; 0 when it was never over 20."""
    held = [int(line.split()[1]) for line in list(gateway.child.lines) if line.startswith("held ")]
    return max(held, default=0)
