"""Everything at once on a gateway: `python -m tools.bench.load URL BUNDLE SECONDS` (a process of its own, for `load_rows`).

Three WebSockets, ten requests a second, and an update uploaded again and again. Prints one JSON object of what it got done.
"""

import json
import random
import statistics
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

RATE = 10  # requests a second
PATHS = (
    "/api/status", "/api/history?limit=100", "/api/can/limits", "/api/can/status", "/metrics", "/", "/api/alerts/active",
    "/api/history?resolution=1m", "/api/registers", "/api/config", "/api/system/info",
)  # fmt: skip
SOCKETS = ("/ws/telemetry", "/ws/uart", "/ws/can")
_BOUNDARY = "a-load-of-bytes"


class Load:
    def __init__(self, url, bundle, seconds):
        self.url, self.bundle = url, bundle
        self.end = time.monotonic() + seconds
        self.did, self.took = Counter(), []

    def going(self):
        return time.monotonic() < self.end

    def ask(self, path, data=None, headers=None):
        try:
            with urllib.request.urlopen(
                urllib.request.Request(self.url + path, data, headers or {}), timeout=60
            ) as got:
                got.read()
                return got.status
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def requests(self, number, of):
        """One of `of` threads that ask in turns; late ones do not catch up."""
        choose = random.Random(number)
        due = time.monotonic() + number / RATE
        while self.going():
            time.sleep(max(0, due - time.monotonic()))
            begun = time.monotonic()
            status = self.ask(choose.choice(PATHS))
            self.took.append(time.monotonic() - begun)
            self.did["requests" if status == 200 else f"requests answered {status}"] += 1
            due = max(due + of / RATE, time.monotonic())

    def socket(self, path):
        with connect("ws" + self.url.removeprefix("http") + path) as socket:
            while self.going():
                try:
                    socket.recv(1)
                except TimeoutError:
                    continue
                except ConnectionClosed:
                    self.did["sockets closed"] += 1
                    return
                self.did["messages"] += 1

    def uploads(self):
        head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="firmware"; filename="a.bundle"\r\n'
        head += "Content-Type: application/octet-stream\r\n\r\n"
        body = head.encode() + self.bundle + f"\r\n--{_BOUNDARY}--\r\n".encode()
        kind = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}
        while self.going():
            status = self.ask("/api/ota", body, kind)
            self.did["updates" if status == 200 else f"updates answered {status}"] += 1
            if status != 200:
                time.sleep(0.5)

    def run(self):
        jobs = [(self.socket, path) for path in SOCKETS] + [(self.requests, i, 2) for i in range(2)] + [(self.uploads,)]
        threads = [threading.Thread(target=job, args=rest) for job, *rest in jobs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return {**self.did, "request_ms": round(statistics.median(self.took) * 1000)}


def main():
    url, bundle, seconds = sys.argv[1:]
    with open(bundle, "rb") as file:
        print("load " + json.dumps(Load(url, file.read(), float(seconds)).run()), flush=True)


if __name__ == "__main__":
    main()
