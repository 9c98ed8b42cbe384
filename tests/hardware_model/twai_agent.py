"""Runs the TWAI driver under MicroPython with its registers at the other end of stdin and stdout.

Lines out: `r INDEX` (answered with the value), `w INDEX VALUE` (answered with an empty line), `+ ID HEX` (a frame was
received), `= TEXT` (the command is done). Lines in: start, stop, poll, advance MS, send ID HEX, status.
"""

import asyncio
import binascii
import sys

sys.path.insert(0, ".")

from firmware.can.twai import Twai  # noqa: E402
from tests.unit.help import FakeClock  # noqa: E402


def say(text):
    sys.stdout.write(text + "\n")


class PipeRegs:
    def read(self, index):
        say("r %d" % index)
        return int(sys.stdin.readline())

    def write(self, index, value):
        say("w %d %d" % (index, value))
        sys.stdin.readline()

    def enable(self):
        pass

    def reset(self):
        pass

    def route(self, inside=False):
        pass


def heard(can_id, data):
    say("+ %x %s" % (can_id, binascii.hexlify(data).decode()))


def obey(driver, clock, words):
    if words[0] == "start":
        asyncio.run(driver.start())
    elif words[0] == "stop":
        driver.stop()
    elif words[0] == "poll":
        driver.poll()
    elif words[0] == "advance":
        clock.advance(int(words[1]))
    elif words[0] == "send":
        data = binascii.unhexlify(words[2]) if len(words) > 2 else b""
        return str(driver.send(int(words[1], 16), data))
    status = (driver.state, driver.sent, driver.received, driver.errors, driver.overruns, driver.last_error)
    return " ".join("-" if word == "" else str(word) for word in status)


def main(chip, bitrate):
    clock = FakeClock()
    driver = Twai(PipeRegs(), clock, bitrate, None, chip)
    driver.on_receive = heard
    while True:
        line = sys.stdin.readline()
        if not line:
            return
        try:
            say("= " + obey(driver, clock, line.split()))
        except Exception as error:
            say("= %r" % error)


main(sys.argv[1], int(sys.argv[2]))
