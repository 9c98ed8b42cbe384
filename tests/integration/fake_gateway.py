"""Stands for MicroPython and the gateway in tests of tools/run.py: answers /api/status, and ends as a request tells it.

GET /exit/CODE ends it with that code; START_CODE in the environment ends it at once; GET /start gives its command line.
"""

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        answer = {
            "/api/status": {"stand_in": True},
            "/start": {"argv": sys.argv, "cwd": os.getcwd(), "pid": os.getpid()},
        }
        body = json.dumps(answer.get(self.path, {})).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        if self.path.startswith("/exit/"):
            self.wfile.flush()
            os._exit(int(self.path.rsplit("/", 1)[1]))

    def log_message(self, *_arguments):
        pass


def main():
    options = dict(zip(sys.argv[4::2], sys.argv[5::2]))
    print("gateway starts", flush=True)
    if "START_CODE" in os.environ:
        sys.exit(int(os.environ["START_CODE"]))
    server = HTTPServer((options["--host"], int(options["--port"])), Handler)
    print(f"http {options['--host']}:{server.server_port}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
