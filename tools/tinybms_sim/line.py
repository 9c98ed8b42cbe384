"""The BMS on its line: what comes in, what goes out and when; sleep, restart, broadcast (tinybms_uart facts 6).

No I/O: `receive(bytes)` and `tick()` are called from outside, `send(delay_s, bytes)` is given. `clock()` gives seconds.
"""

from collections import Counter

from tools.tinybms_sim.faults import Faults
from tools.tinybms_sim.protocol import Framer, answer, nack, valid

SLEEP_S = 10.0  # without UART traffic
RESTART_S = 1.5
_PERIOD_S = {1: 0.1, 2: 0.2, 3: 0.5, 4: 1.0, 5: 2.0, 6: 5.0, 7: 10.0}  # register 342


class Line:
    def __init__(self, bms, clock, send, seed=1, speed=1.0):
        self.bms, self.speed = bms, speed
        self.faults = Faults(clock, seed)
        self.requests = Counter()  # by command, "0x03"; "bad_crc" for those that did not check
        self.asleep = False
        self.sleeps = 0
        self._clock, self._send = clock, send
        self._framer = Framer()
        self._heard = self._ticked = self._broadcast = clock()
        self._silent_until = None

    # In and out

    def receive(self, data):
        """Bytes from the other end."""
        now = self._clock()
        if len(self._framer) and now - self._heard > Framer.GAP_S:
            self._framer.reset()
        self._heard = now
        for frame in self._framer.feed(data):
            self._request(frame)

    def _request(self, frame):
        command = frame[1]
        self.requests[f"0x{command:02X}" if valid(frame) else "bad_crc"] += 1
        if self._silent_until is not None:
            return
        if self.asleep:  # the first command only wakes it
            self._wake(True)
            return
        if self.faults.deaf():
            return
        refused = self.faults.hit("nack")  # then nothing is done
        reply = nack(command, refused["code"]) if refused else answer(frame, self.bms)
        for delay, data in self.faults.spoil(reply):
            self._send(delay, data)
        if self.bms.restart_asked:
            self._silent_until = self._clock() + RESTART_S

    # Time

    def tick(self):
        """Let time pass; call it about each 100 ms."""
        now = self._clock()
        passed, self._ticked = now - self._ticked, now
        if len(self._framer) and now - self._heard > Framer.GAP_S:
            self._framer.reset()
        if self.bms.words is None:
            self.bms.battery.step(min(passed, 1.0) * self.speed)
            self.bms.measure()
        self.bms.refresh()
        if self._silent_until is not None:
            if now >= self._silent_until:
                self._silent_until = None
                self.bms.restarted()
            return
        if self.faults.due("sleep"):
            self.sleep()
        may = self.bms.words is None and self.bms.may_sleep()
        if self.asleep and not may and self.bms.battery.charger_on:
            self._wake(False)
        elif may and not self.asleep and now - self._heard >= SLEEP_S:
            self.sleep()
        if not self.asleep:
            self._talk(now)

    def sleep(self):
        """Fall asleep now, whatever goes on."""
        self.asleep = True
        self.sleeps += 1

    def _wake(self, uart):
        self.asleep = False
        self.bms.woken(uart)

    def _talk(self, now):
        """Broadcast text between the replies (register 342 and 343, or the fault of that name)."""
        if spec := self.faults.due("broadcast"):
            self._send(0.0, self.text(spec["protocol"]))
        period = _PERIOD_S.get(self.bms.word(342) & 0xFF)
        if period and now - self._broadcast >= period - 0.01:
            self._broadcast = now
            self._send(0.0, self.text(self.bms.word(343) & 0xFF))

    def text(self, protocol):
        """A line of broadcast text: 0 CA V3, 1 ASCII, 2 SOC BAR (whose layout nobody has published: bare percent)."""
        battery = self.bms.battery
        volts, amps, soc = battery.voltage_mv / 1000, battery.current_ma / 1000, battery.soc
        temps = [t for t in battery.ext_c if t is not None]
        if protocol == 0:
            left = soc * battery.settings[306] / 10000
            fields = [
                f"{left:.2f}",
                f"{volts:.2f}",
                f"{amps:.2f}",
                "0.0",
                "0.0",
                f"{max(temps + [battery.internal_c]):.1f}",
            ]
            return ("\t".join(fields + ["0"] * 7) + "\r\n").encode()
        if protocol == 2:
            return f"{soc:.0f}\r\n".encode()
        ext = [-3276.8 if t is None else t for t in battery.ext_c]
        bits = f"{self.bms.word(52):016b}"
        fields = [
            f"BPV:{volts:.2f}", f"MINCV:{battery.cell_min_mv / 1000:.3f}", f"MAXCV:{battery.cell_max_mv / 1000:.3f}",
            f"BPC:{amps:.2f}", f"SOC:{soc:.0f}", f"BMST:{battery.internal_c:.2f}", f"EXT1:{ext[0]:.2f}",
            f"EXT2:{ext[1]:.2f}",
            f"OS:{battery.status}", f"CB:{bits}", "LST:0", f"LSS:{int(battery.load_switch)}", "CST:0",
            f"CSS:{int(battery.charge_switch)}",
        ]  # fmt: skip
        return ("\t".join(fields) + "\r\n").encode()
