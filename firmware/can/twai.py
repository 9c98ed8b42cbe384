"""The on-chip CAN controller (TWAI, an SJA1000 in its extended layout) through its registers, polled, without interrupts.

Sources: esp32_micropython facts 1.3-1.9. Only registers that may be read twice without harm decide anything (mode, status,
counters): the interrupt, error-code and arbitration registers clear themselves when read, and an ESP32 reads ahead.

`send` and `poll` allocate nothing (but for a received frame of less than 8 bytes, which no GX sends) and may be called from
a soft timer callback that interrupts the loop inside either: the queue is changed only in viper functions, which no callback
interrupts, the controller only by whoever came first.
"""

from micropython import const
from firmware import lazy
from firmware.can import twai_queue as queue
from firmware.can import twai_recovery as recovery
from firmware.can.twai_chips import ERRATA
from firmware.can.twai_recovery import LIVE, RECOVER, WAIT
from firmware.lazy import seldom

# register numbers: byte offset / 4
_MODE = const(0)
_COMMAND = const(1)
_STATUS = const(2)
_REC = const(14)
_TEC = const(15)
_BUFFER = const(16)  # frame: transmit when written, receive when read
_RX_COUNT = const(29)

_RESET_MODE = const(1)  # MODE

_TRANSMIT = const(1)  # COMMAND
_ABORT = const(2)
_RELEASE = const(4)
_CLEAR_OVERRUN = const(8)

_RX_READY = const(1)  # STATUS
_OVERRUN = const(2)
_TX_FREE = const(4)
_TX_DONE = const(8)
_BUS_OFF = const(0x80)
_MISSED = const(0x100)  # S3 and C3: the frame in the buffer was lost, what is there is rubbish

_FRESH_MS = const(900)  # a frame unsent for so long is dropped: before its next period, and old is not now
_NO_ACK_MS = const(50)  # at 125 kbit/s still 40 attempts
_ABORT_MS = const(100)  # an abort takes one frame at most; if it takes so long the controller hangs
_SETTLED_MS = const(30_000)  # so long without bus-off, and the next one is a first one again
_RX_BURST = const(8)  # frames a poll
_RX_LOCK = const(62)  # erratum: at 64 the receive FIFO is lost until the peripheral is reset
_FIFO_FRAMES = const(64)

_OFF = const(0)  # a phase, as those of twai_recovery


class Twai:
    """`regs`: see twai_regs.MemRegs. `clock`: the board. `chip`: a name of twai_chips.CHIPS. `bitrate`: bit/s, ValueError
    when it cannot be made. `accept`: first and last standard id that `on_receive(can_id, data)` gets; `data` is only valid
    during that call.
    """

    @seldom
    def __init__(self, regs, clock, bitrate, log=None, chip="ESP32", accept=(0x305, 0x307), sample=800):
        self.program = lazy.once("can.twai_setup").program(chip, bitrate, accept, sample)
        self._errata = lazy.once("can.twai_chips").CHIPS[chip][ERRATA]
        self.regs = regs
        self._read = regs.read
        self._write = regs.write
        self.clock = clock
        self._log = log
        self._first, self._last = accept
        self._queue = queue.make()
        self._frame = bytearray(16)  # the frame in the controller, or taken out of it unsent
        self._held = self.loaded = self.aborting = False
        self._data = bytearray(8)  # of a received frame: what a GX sends has 8 bytes
        self._phase = _OFF
        self.since = 0  # ticks when the phase began
        self.delay = 0  # before the next recovery, ms
        self.settled = True
        self._busy = False
        self.no_ack = False
        self.on_receive = None
        self.state = "STOPPED"
        self.last_error = ""
        self.sent = self.received = self.errors = 0
        self.dropped = 0  # frames given up unsent: too old, or replaced by a newer one of their id
        self.overruns = self.bus_offs = self.resets = 0
        self.tec = self.rec = 0

    @seldom
    async def start(self):
        """Power up and go on the bus; OSError when there is no controller. Call `regs.enable()` before WiFi starts."""
        self.regs.enable()
        self.regs.route()
        self._phase = _OFF
        self.delay = 0
        self._busy = True
        try:
            if not recovery.go(self):
                self._phase = _OFF
                raise OSError("TWAI controller does not answer")
        finally:
            self._busy = False
        self.set_state("RUNNING")

    def stop(self):
        """Leave the bus. Before a reboot too: the controller survives it, and would run on with a wrong clock."""
        if self._phase != _OFF:
            self._phase = _OFF
            self._write(_COMMAND, _ABORT)
            self._write(_MODE, _RESET_MODE)
        while queue.take(self._queue, self._frame):
            pass
        self._held = self.loaded = self.no_ack = False
        self.set_state("STOPPED")

    def send(self, can_id, data):
        """Queue a frame (standard id, up to 8 bytes, copied); False when stopped, malformed or full. A frame of the same id
        that still waits is replaced.
        """
        size = len(data)
        result = 2
        if self._phase != _OFF and 0 <= can_id <= 0x7FF and size <= 8:
            result = queue.put(self._queue, can_id, data, size, self.clock.ticks_ms())
        if result == 2:
            self.errors += 1
            return False
        if result == 1:
            self.dropped += 1
        if self._phase == LIVE and not self._busy:
            self._busy = True
            try:
                self._transmit(self._read(_STATUS))
            finally:
                self._busy = False
        return True

    def poll(self):
        """Move frames both ways, watch the controller, recover it; at least each 100 ms. Does nothing inside itself."""
        if self._busy or self._phase == _OFF:
            return
        self._busy = True
        try:
            self._step()
        finally:
            self._busy = False

    def _step(self):
        if self._phase == LIVE:
            status = self._read(_STATUS)
            if status & _BUS_OFF:
                recovery.bus_off(self)
            elif self._read(_MODE) & _RESET_MODE or not (status & _TX_FREE or self.loaded):
                recovery.restart(
                    self, "CONTROLLER_RESET"
                )  # nobody asked for it, or its clock is gone and it reads as zero
            else:
                self._receive(status)
                if self._phase == LIVE:
                    self._transmit(self._read(_STATUS))
                if self._phase == LIVE:
                    self._judge()
        elif self._phase == RECOVER:
            recovery.watch(self)
        elif self.age(self.since) >= self.delay:
            if self._phase == WAIT:
                recovery.recover(self)
            else:
                self.regs.reset()
                recovery.go(self)

    def age(self, since):
        return self.clock.ticks_diff(self.clock.ticks_ms(), since)

    def enter(self, phase):
        self._phase = phase
        self.since = self.clock.ticks_ms()

    def set_state(self, state):
        if state != self.state:
            self.state = state
            if self._log:
                self._log.info("can", state)

    def fail(self, error):
        self.errors += 1
        if self._log and error != self.last_error:  # an unplugged cable fails each second: one line
            self._log.warning("can", error)
        self.last_error = error

    def _receive(self, status):
        if self._errata and self._read(_RX_COUNT) >= _RX_LOCK:
            self.overruns += 1
            recovery.restart(self, "RX_OVERRUN")
            return
        left = _RX_BURST
        if status & _OVERRUN:  # which of the frames is torn is not known: all go, the GX repeats its own each second
            self.overruns += 1
            self.fail("RX_OVERRUN")
            left = _FIFO_FRAMES
        while left and status & _RX_READY:
            if not status & (_OVERRUN | _MISSED):
                self._deliver()
            self._write(_COMMAND, _RELEASE)
            left -= 1
            status = self._read(_STATUS)
        if status & _OVERRUN:
            self._write(_COMMAND, _CLEAR_OVERRUN)

    def _deliver(self):
        read = self._read
        info = read(_BUFFER)
        can_id = read(_BUFFER + 1) << 3 | read(_BUFFER + 2) >> 5
        # the filter compares other bits of extended frames, and lets the whole mask through
        if info & 0xC0 or not self._first <= can_id <= self._last:
            return
        self.received += 1
        self.no_ack = False  # somebody is there
        if not self.on_receive:
            return
        try:
            size = min(info & 15, 8)
            data = self._data if size == 8 else bytearray(size)
            for i in range(size):
                data[i] = read(_BUFFER + 3 + i) & 0xFF
            self.on_receive(can_id, data)
        except Exception as error:
            self.fail("RECEIVER: %r" % error)

    def _transmit(self, status):
        if status & _BUS_OFF:  # the buffer is free then, but nothing was sent; the next poll sees to it
            return
        if self.loaded:
            if status & _TX_FREE:
                self._finish(status)
            elif self.aborting:
                if self.age(queue.queued_at(self._frame)) > _FRESH_MS + _ABORT_MS:
                    self._held = False
                    self.dropped += 1
                    recovery.restart(self, "ABORT_TIMEOUT")
                    return
            elif self.age(queue.queued_at(self._frame)) > _FRESH_MS:
                self.aborting = True
                self._write(_COMMAND, _ABORT)
        while not self.loaded and status & _TX_FREE:
            if not self._held and not queue.take(self._queue, self._frame):
                return
            self._held = self.age(queue.queued_at(self._frame)) <= _FRESH_MS
            if self._held:
                self._load()
            else:
                self.dropped += 1

    def _finish(self, status):
        self.loaded = self._held = False
        if status & _TX_DONE:
            self.sent += 1
            self.no_ack = False
        else:
            self.dropped += 1
            self.no_ack = True  # with TEC below 128 the bus was never free: same cure, other last_error
            self.fail("NO_ACK" if self._read(_TEC) >= 128 else "TX_TIMEOUT")
        self.aborting = False

    def _load(self):
        frame = self._frame
        for i in range(3 + frame[0]):
            self._write(_BUFFER + i, frame[i])
        self._write(_COMMAND, _TRANSMIT)
        self.loaded = True

    def _judge(self):
        self.tec = tec = self._read(_TEC)
        self.rec = rec = self._read(_REC)
        if tec >= 128 and self.loaded and not self.no_ack and self.age(queue.queued_at(self._frame)) > _NO_ACK_MS:
            self.no_ack = True
            self.fail("NO_ACK")
        if not self.settled and self.age(self.since) > _SETTLED_MS:
            self.settled = True
            self.delay = 0
        if self.no_ack:
            self.set_state("NO_ACK")
        else:
            self.set_state("ERROR_PASSIVE" if tec >= 128 or rec >= 128 else "RUNNING")
