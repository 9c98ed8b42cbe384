"""A register model of the ESP32's TWAI controller, with the behaviour and the errata that QEMU's SJA1000 lacks.

It is the `regs` object of `firmware.can.twai.Twai`, runs under MicroPython and CPython, and lives on a clock that the test
moves: whatever happened since the last access happens at the next one. Attempts take 250 us whatever the bit rate.

Written from esp32_micropython facts 1.5-1.7 and the SJA1000 data sheet's rules, not from the driver.
"""

MODE, COMMAND, STATUS, BTR0, BTR1, EWL, REC, TEC, RX_COUNT, CDR = 0, 1, 2, 6, 7, 13, 14, 15, 29, 31
RM, LOM, STM, AFM = 1, 2, 4, 8
FIFO_BYTES = 64
ATTEMPTS_PER_MS = 4


class TwaiModel:
    def __init__(self, clock, bitrate=500_000, esp32=True):
        self.clock = clock
        self.esp32 = esp32  # the ESP32's layout bit and errata, else an S3 with its "missed" status bit
        self.recovery_ms = -(-128 * 11 * 1000 // bitrate)
        # what the test sets: the bus and the faults
        self.acknowledged = True
        self.bit_errors = False  # every attempt ends with a bit error
        self.stuck = False  # bus stuck dominant: nothing starts
        self.clocked = self.released = False  # clock on, reset line released; `gated` overrides both
        self.gated = False
        self.hang_aborts = False
        self.block_recovery = False  # recovery never ends, until a reset of the peripheral
        # what the test reads
        self.sent = []  # (id, data)
        self.rubbish = []  # frames put on the bus wrong (first after a recovery, or wrong registers)
        self.resets = self.enables = self.routes = 0
        self.violations = []
        self.retrigger = (
            True  # writing TEC = 255 sets bus-off (and RM) once more when reset mode is left; "late": 1 ms after
        )
        self._power_on()

    def _power_on(self):
        self.mode = RM
        self.tec = self.rec = 0
        self.ewl = 96
        self.cdr = 0
        self.btr = [0, 0]
        self.filter = [0] * 8
        self.tx = [0] * 13
        self.fifo = []
        self.corrupt = self.dos = False
        self.tcs = True
        self.pending = self.aborting = self.self_reception = False
        self.off = False
        self.dirty = False  # recovered and not set up again
        self.bus_off_left = None  # ms of recovery that remain
        self.forced = self.late = False
        self.stale = b""  # the last frame released: what the buffer shows when there is none
        self.t = self.clock.ticks_ms()

    # the side of the driver

    def enable(self):
        self.enables += 1
        self.clocked = True
        self.reset()

    def reset(self):
        self.resets += 1
        self.released = True
        self.block_recovery = False
        self._power_on()

    def route(self, inside=False):
        self.routes += 1

    def _dead(self):
        return self.gated or not (self.clocked and self.released)

    def _layout(self):
        return not self.esp32 or self.cdr & 0x80

    def read(self, index):
        if self._dead():
            return 0
        self._run()
        if index == MODE:
            return self.mode
        if index == STATUS:
            return self._status()
        if index in (BTR0, BTR1):
            return self.btr[index - BTR0]
        if index == EWL:
            return self.ewl
        if index == REC:
            return self.rec
        if index == TEC:
            return self.tec
        if 16 <= index <= 28 and self._layout():
            if self.mode & RM:
                return self.filter[index - 16] if index < 24 else 0
            frame = self.fifo[0] if self.fifo else None
            if self.corrupt:
                return 0xA5
            if frame is None:
                frame = self.stale
            return frame[index - 16] if index - 16 < len(frame) else 0
        if index == RX_COUNT:
            return len(self.fifo)
        if index == CDR:
            return self.cdr
        return 0

    def _status(self):
        value = 0
        if self.fifo:
            value |= 1
            if not self.esp32 and self.fifo[0] is None:
                value |= 0x100
        if self.dos:
            value |= 2
        if not self.pending:
            value |= 4
        if self.tcs:
            value |= 8
        if self.tec >= self.ewl or self.rec >= self.ewl:
            value |= 0x40
        if self.off:
            value |= 0x80
        return value

    def write(self, index, value):
        if self._dead():
            return
        self._run()
        if index == MODE:
            self._write_mode(value)
        elif index == COMMAND:
            if not self.mode & RM:
                self._command(value)
        elif index == CDR:
            self.cdr = value
        elif 16 <= index <= 28:
            if not self._layout():
                self.violations.append("buffer written in the basic layout")
            elif not self.mode & RM:
                if self.pending:
                    self.violations.append("transmit buffer overwritten")
                self.tx[index - 16] = value
            elif index < 24:
                self.filter[index - 16] = value
        elif index in (BTR0, BTR1, EWL, REC, TEC):
            if not self.mode & RM:
                self.violations.append("register %d written outside reset mode" % index)
            elif index == REC:
                self.rec = value
            elif index == TEC:
                self._write_tec(value)
            elif index == EWL:
                self.ewl = value
            else:
                self.btr[index - BTR0] = value

    def _write_mode(self, value):
        if self.mode & RM:
            self.mode = value & 0x0F
            if not value & RM:
                if self.forced:  # the CPU's own bus-off comes when reset mode is left
                    self.forced = False
                    if self.retrigger == "late":
                        self.late = True
                    else:
                        self._go_off(self.rec)
                elif self.off and self.bus_off_left is None:
                    self.bus_off_left = self.recovery_ms
        elif value & RM:
            self._enter_reset()

    def _enter_reset(self):
        self.mode |= RM
        self.pending = self.aborting = False
        self.tcs = True  # as after a reset: tells nothing about the frame
        self.fifo = [] if not self.corrupt else self.fifo
        self.dos = False
        self.dirty = False

    def _write_tec(self, value):
        self.bus_off_left = None
        self.off = value == 255  # below that it ends a bus-off
        self.tec = 127 if self.off else value
        if self.off:
            self.forced = self.retrigger
            if self.mode & LOM:
                self.rec = 0  # else what is left over stays, and blocks the recovery (erratum)

    def _command(self, value):
        if value & 2:
            if self.pending:
                self.aborting = True
        elif value & (1 | 0x10):
            if self.pending:
                self.violations.append("transmit requested twice")
            self.pending = True
            self.tcs = False
            self.self_reception = bool(value & 0x10)
        if value & 4 and self.fifo and not self.corrupt:
            self.stale = self.fifo.pop(0) or self.stale
        if value & 8:
            self.dos = False

    # time

    def _run(self):
        now = self.clock.ticks_ms()
        elapsed = self.clock.ticks_diff(now, self.t)
        self.t = now
        if elapsed <= 0:
            return
        if self.late:
            self.late = False
            self._go_off(self.rec)
        if self.mode & RM:
            if self.esp32 and not self.mode & LOM:
                self.rec = min(self.rec + 1, 127)  # erratum 3.13.1
            return
        if self.off:
            self._recover(elapsed)
            return
        for _ in range(min(elapsed, 100) * ATTEMPTS_PER_MS):
            if self.pending and not self.off and not self.stuck:
                self._attempt()
        if self.pending and self.aborting and not self.hang_aborts:
            self.pending = self.aborting = False

    def _recover(self, elapsed):
        if self.bus_off_left is None or self.block_recovery or self.stuck or (self.esp32 and self.rec):
            return  # the REC that was left over blocks it (erratum)
        self.bus_off_left -= elapsed
        if self.bus_off_left <= 0:
            self.bus_off_left = None
            self.off = False
            self.tec = 0
            self.dirty = True  # erratum 3.13.3

    def _attempt(self):
        if self.bit_errors:
            self.tec += 8
        elif not self.acknowledged and not self.mode & STM:
            if self.tec < 128:  # a passive node's missing acknowledge does not count
                self.tec += 8
        else:
            self._done()
            return
        if self.tec > 255:
            self._go_off(3)
        elif self.aborting and not self.hang_aborts:
            self.pending = self.aborting = False

    def _go_off(self, rec):
        self.off = True
        self._enter_reset()
        self.tec = 127
        self.rec = rec  # the erratum leaves it above 0
        self.bus_off_left = None

    def _done(self):
        length = min(self.tx[0] & 15, 8)
        frame = (self.tx[1] << 3 | self.tx[2] >> 5, bytes(self.tx[3 : 3 + length]))
        (self.rubbish if self.dirty or self.tx[0] & 0xC0 else self.sent).append(frame)
        self.dirty = False
        self.pending = self.aborting = False
        self.tcs = True
        self.tec = max(self.tec - 1, 0)
        if self.self_reception:
            self._store(bytes(self.tx[: 3 + length]), False)

    # the side of the bus

    def inject(self, can_id, data=b"", extended=False, remote=False):
        """Another node sends a frame; True when it passes the filter and we acknowledge it."""
        self._run()
        if self._dead() or self.mode & RM or self.off:
            return False
        head = len(data) | (0x80 if extended else 0) | (0x40 if remote else 0)
        if extended:
            raw = bytes([head, can_id >> 21 & 255, can_id >> 13 & 255, can_id >> 5 & 255, can_id << 3 & 255])
        else:
            raw = bytes([head, can_id >> 3, can_id << 5 & 255])
        self._store(raw + (b"" if remote else bytes(data)), extended)
        return True

    def _matches(self, raw, extended):
        code, mask = self.filter[:4], self.filter[4:]
        remote = raw[0] >> 6 & 1
        if extended:
            wire = (raw[1], raw[2], raw[3], raw[4] & 0xF8 | remote << 2)
            care = (255, 255, 255, 0xFC)
        else:
            data = raw[3:5] + b"\0\0"
            wire = (raw[1], raw[2] & 0xE0 | remote << 4, data[0], data[1])
            care = (255, 0xF0, 255 if len(raw) > 3 else 0, 255 if len(raw) > 4 else 0)
        return not any((wire[i] ^ code[i]) & ~mask[i] & care[i] for i in range(4))

    def _store(self, raw, extended):
        if not self._matches(raw, extended):
            return
        used = sum(len(frame) for frame in self.fifo if frame)
        if used + len(raw) > FIFO_BYTES:
            self.dos = True
            raw = None  # lost, but counted
        if len(self.fifo) < 64:
            self.fifo.append(raw)
        if len(self.fifo) == 64 and self.esp32:
            self.corrupt = True  # erratum: never recovers without a reset of the peripheral
