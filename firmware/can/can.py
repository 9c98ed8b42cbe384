"""The CAN side of the gateway: driver, schedule and GX presence in one, and what the API shows of them."""

import asyncio
from micropython import const

from firmware import bus as _bus
from firmware import live as _live
from firmware.can.presence import Presence
from firmware.can.schedule import Schedule

_SECOND_MS = const(1000)
_RX_SLOTS = const(8)


class _NoDriver:
    """What stands where the configuration names no driver that can be."""

    state = "STOPPED"
    sent = received = errors = 0
    last_error = "NO_DRIVER"
    on_receive = None

    async def start(self):
        raise OSError("no driver")

    def stop(self):
        pass


class Can:
    """`driver`: twai.Twai or slcan.Slcan, not started; None: there is none, `status` shows it. `charge`: the ChargeControl.

    `await run()` is the whole of it, for ever. Where the board has a hardware timer: set `timer_driven = True` on `schedule`
    and let the timer call `schedule.tick` each 5-10 ms; the loop then only does what may wait.
    """

    def __init__(self, driver, live, bus, clock, config, charge, log):
        self.driver = driver = driver or _NoDriver()
        self.charge = charge
        self.presence = Presence(bus, clock)
        self.schedule = Schedule(driver, live, bus, clock, config, charge, log)
        self._live = live
        self._bus = bus
        self._clock = clock
        self._config = config
        self._log = log
        self._state = ""
        self._second = clock.ticks_ms()
        # received frames wait here for the loop: `_received` may run in a timer callback and must not allocate
        self._rx_ids = [0] * _RX_SLOTS
        self._rx_data = [bytearray(9) for _ in range(_RX_SLOTS)]  # length, then data
        self._rx_count = 0
        driver.on_receive = self._received

    def _received(self, can_id, data):
        self.presence.frame(can_id)
        slot = self._rx_count
        if slot < _RX_SLOTS and self._bus.wants(_bus.CAN_FRAME):
            self._rx_ids[slot] = can_id
            buffer = self._rx_data[slot]
            size = len(data)
            buffer[0] = size
            for i in range(size):
                buffer[1 + i] = data[i]
            self._rx_count = slot + 1

    def stop(self):
        """Leave the bus: before a restart, or when CAN is switched off. Nothing is sent any more."""
        self.schedule.stop()
        self.driver.stop()

    async def run(self):
        """Keep everything going, for ever; follows `can.enabled`. A driver that cannot start is reported and stays STOPPED."""
        wanted = None
        while True:
            if wanted != self._config.get("can.enabled"):
                wanted = self._config.get("can.enabled")
                if wanted:
                    await self._start()
                else:
                    self.stop()
            self.work()
            await asyncio.sleep_ms(self.schedule.wait_ms())

    async def _start(self):
        try:
            await self.driver.start()
            self.schedule.running = True
        except (OSError, ValueError) as error:
            self._log.error("can", "cannot start: %s" % error)

    def work(self):
        """One pass of the loop."""
        schedule = self.schedule
        if self._clock.ticks_diff(self._clock.ticks_ms(), self._second) >= _SECOND_MS:
            self._second = self._clock.ticks_ms()
            schedule.update()
            if schedule.speaking:
                schedule.name()
            self.presence.check()
            # ages only saturate when somebody asks for them
            schedule.age_ms()
            self._live.age_ms()
            self._live.settings_age_s()
        if not schedule.timer_driven:
            schedule.tick()
        schedule.flush()
        if self._rx_count:
            self._publish_received()
        if self.driver.state != self._state:
            self._state = self.driver.state
            if self._state == "RUNNING":
                schedule.repeat()
            self._bus.publish(_bus.CAN_STATE, self._state)

    def _publish_received(self):
        for i in range(self._rx_count):
            buffer = self._rx_data[i]
            self._bus.publish(_bus.CAN_FRAME, ("RX", self._rx_ids[i], bytes(buffer[1 : 1 + buffer[0]])))
        self._rx_count = 0

    def status(self):
        """The object of GET /api/can/status; what follows `last_error` is ours."""
        driver, get = self.driver, self._config.get
        return {
            "enabled": get("can.enabled"),
            "state": driver.state,
            "speed": get("can.speed"),
            "tx_pin": get("can.tx_pin"),
            "rx_pin": get("can.rx_pin"),
            "protocol": get("can.protocol"),
            "messages_sent": driver.sent,
            "messages_received": driver.received,
            "errors": driver.errors,
            "last_error": driver.last_error,
            "gx_present": self.presence.present,
            "gx_seen": self.presence.ever,
            "gx_age_ms": self.presence.age_ms(),
            "speaking": self.schedule.speaking,
            "bus_offs": getattr(driver, "bus_offs", 0),
            "dropped": getattr(driver, "dropped", 0),
        }

    def limits(self):
        """The object of GET /api/can/limits: what was last sent (null: nothing is), why, and how old the data behind it is."""
        live, charge, schedule = self._live, self.charge, self.schedule
        sent = live.get(_live.CVL) is not None
        reasons = {which: charge.reason(which) if sent else None for which in ("cvl", "ccl", "dcl")}
        state = charge.state_name()
        if schedule.speaking and schedule.stale:
            state = "STALE"
        elif not schedule.speaking and state not in ("STARTING", "STOPPED"):
            state = "STARTING" if schedule.sent_at is None else "STOPPED"
        return {
            "cvl_mv": live.get(_live.CVL),
            "ccl_ma": live.get(_live.CCL),
            "dcl_ma": live.get(_live.DCL),
            "state": state,
            "reasons": reasons,
            "age_ms": live.steering_age_ms(),
        }

    def decode(self, can_id, data):
        """What a frame says, as a dict with units in the names; {} for an unknown id. Loads `decode` when first asked."""
        from firmware.can.decode import decode

        return decode(can_id, data)
