"""What is on while a broker is configured: keeps the connection, and sends what is due (outgoing.py). One task, one QoS 1 message
on its way at a time.
"""

import asyncio
import gc
import os
from micropython import const
from firmware import bus as topics
from firmware import live as field
from firmware.lazy import drop, load, once
from firmware.mqtt import client
from firmware.mqtt.outgoing import send_one

_STEP_MS = const(50)
_BUSY_MS = const(200)  # so long after an incoming message the next ones are acknowledged at once
_STATUS_MS = const(10_000)
_BACKOFF_MAX_MS = const(120_000)
_SETTLED_MS = const(10_000)  # a connection that held so long starts with the shortest back-off again
_ACK_MS = const(15_000)
_PING_MS = const(30_000)  # of silence, or half the keepalive
_PONG_MS = const(10_000)
_ALERTS = const(64)
_FRAMES = const(16)
_ANSWERS = const(8)
_COMMANDS = const(8)
_COMMAND_MS = const(50)


async def run(part):
    """Until no broker is configured any more."""
    session = Session(part)
    try:
        await session.run()
    finally:
        session.end()
        drop("mqtt.outgoing")  # where it is a module of its own: it holds a client.py that is dropped too


class Session:
    """`part`: mqtt.Mqtt."""

    def __init__(self, part):
        self.part = part
        self.parts = parts = part.parts
        self.settings = None
        self.connection = None
        bus = parts.bus
        self.answers = bus.new_queue(_ANSWERS)
        self._commands = bus.new_queue(_COMMANDS)
        self._worker = None  # task that carries out commands
        self.alerts = bus.queue((topics.ALERT,), _ALERTS)
        self.frames = None
        for topic in (topics.STATUS, topics.LINK, topics.LIMITS):
            bus.subscribe(topic, self._on_change)
        bus.subscribe(topics.CONFIG, self._on_config)
        bus.subscribe(topics.EVENT, self._on_event)
        self.pid = 0
        self.alert = None  # the alert on its way: (text, packet identifier), kept until it is acknowledged
        self.waits = 0  # packet identifier of the QoS 1 message on its way
        self.since = 0
        self._pinged = False
        self.status_due = True
        self.status_at = self.metrics_at = 0
        self.soc = self.polls = None
        self._cells = None  # cells that Home Assistant knows of

    def end(self):
        bus = self.parts.bus
        for topic in (topics.STATUS, topics.LINK, topics.LIMITS):
            bus.unsubscribe(topic, self._on_change)
        bus.unsubscribe(topics.CONFIG, self._on_config)
        bus.unsubscribe(topics.EVENT, self._on_event)
        bus.close(self.alerts)
        self._watch_frames(False)
        if self._worker:
            self._worker.cancel()

    def _on_change(self, topic, payload):
        self.status_due = True

    def _on_config(self, topic, keys):
        self.part.config_due = True

    def _on_event(self, topic, event):
        self.part.hurry = self.part.hurry or event[0] == "WIFI_CONNECTED"

    def _check_limits(self):
        if self.part.limits_until is not None:
            self.part.check_limits()

    def _watch_frames(self, on):
        if self.frames:
            self.parts.bus.close(self.frames)
        self.frames = self.parts.bus.queue((topics.CAN_FRAME,), _FRAMES) if on else None

    def _configure(self):
        """Take the configuration; False when there is no broker in it."""
        self.part.changed.clear()
        self.settings = settings = once("mqtt.settings").make(self.parts.config.__getitem__)
        drop("mqtt.frames")
        on = bool(settings.host)
        self._watch_frames(on and any(settings.topics["can_" + name] for name in ("raw", "decoded", "ready")))
        return on

    # -- connection ----------------------------------------------------------------------------------------------------

    async def run(self):
        part, clock = self.part, self.parts.board
        wait = 1000
        while part.changed.is_set() or self.settings is None:
            if not self._configure():
                return
            while not part.changed.is_set():
                begun = clock.ticks_ms()
                try:
                    await self._once()
                    break  # other settings
                except MemoryError:
                    part.failed("memory: not enough")
                except (OSError, ValueError) as error:
                    part.failed(str(error))
                except Exception as error:
                    part.failed(str(error) if hasattr(error, "stage") else "%s: %s" % (type(error).__name__, error))
                if clock.ticks_diff(clock.ticks_ms(), begun) > _SETTLED_MS:
                    wait = 1000
                await self._pause(wait + os.urandom(1)[0] * wait // 512)
                wait = 1000 if part.hurry else min(2 * wait, _BACKOFF_MAX_MS)
            wait = 1000

    async def _pause(self, ms):
        clock, part = self.parts.board, self.part
        part.hurry = False
        begun = clock.ticks_ms()
        while clock.ticks_diff(clock.ticks_ms(), begun) < ms and not part.changed.is_set() and not part.hurry:
            self._check_limits()
            await asyncio.sleep_ms(200)

    async def _once(self):
        """One connection from start to end. Raises Failure; comes back when the settings have changed."""
        part, settings = self.part, self.settings
        self.connection = connection = client.Connection(settings.client_id, self.parts.board, self._on_message)
        try:
            await load("mqtt.opening").open(connection, settings, self.parts.board, part.resolver)
        finally:
            for name in ("mqtt.opening", "mqtt.tls", "mqtt.peer"):
                drop(name)
            self.tidy()
        part.connected, part.verified, part.last_error = True, connection.verified, ""
        broker = part.status()["broker"]
        self.parts.bus.publish(topics.EVENT, ("MQTT_CONNECTED", {"broker": broker}))
        self.parts.log.info("mqtt", "connected to " + broker)
        gone = True
        try:
            await self._talk(connection)
            await self._leave(connection)
            gone = False
        finally:
            part.connected = False
            await connection.close(not gone)
            self.connection = None
            self.parts.bus.publish(topics.EVENT, ("MQTT_DISCONNECTED", {"broker": broker}))

    async def _talk(self, connection):
        settings = self.settings
        diff, now = self.parts.board.ticks_diff, self.parts.board.ticks_ms()
        busy = self.status_at = self.metrics_at = self.parts.board.ticks_add(now, -_STATUS_MS)
        self.waits = 0
        self._pinged = False
        self._cells = None
        self.status_due = self.part.config_due = True
        self.polls = None
        await connection.publish(settings.will_topic, b"online", True)
        self.part.sent += 1
        if settings.commands:
            await connection.subscribe(settings.base.encode() + b"/cmd/#")
        await self._discovery("tidy")
        while not self.part.changed.is_set():
            if connection.failed:
                raise connection.failed
            now = self.parts.board.ticks_ms()
            await self._keep_alive(connection, now)
            if await connection.acknowledge():
                busy = now
            self._check_limits()
            self.part.received += connection.received
            connection.received = 0
            if not await send_one(self, connection, now):
                await self._announce()
                await asyncio.sleep_ms(2 if diff(now, busy) < _BUSY_MS else _STEP_MS)

    async def _leave(self, connection):
        """Say good-bye on the settings that held until now."""
        await self._discovery("leave")
        await connection.publish(self.settings.will_topic, b"offline", True)

    async def _keep_alive(self, connection, now):
        diff = self.parts.board.ticks_diff
        if self.waits and connection.acked == self.waits:
            if self.alert and self.alert[1] == self.waits:
                self.alert = None
            self.waits = 0
        silent = diff(now, connection.heard)
        if self.waits and diff(now, self.since) > _ACK_MS:
            raise OSError("mqtt: no PUBACK")
        after = min(_PING_MS, self.settings.keepalive * 500)
        if silent < after:
            self._pinged = False
        elif not self._pinged:
            self._pinged = True
            await connection.ping()
        elif silent > after + _PONG_MS:
            raise OSError("mqtt: no PINGRESP")

    # -- for outgoing.py and discovery.py ----------------------------------------------------------------------------------

    def take_pid(self):
        self.pid = self.waits = self.pid % 65535 + 1
        self.connection.acked = 0
        self.since = self.parts.board.ticks_ms()
        return self.pid

    def tidy(self):
        """What was loaded for a moment must not add up."""
        self.parts.config.release()
        gc.collect()

    # -- Home Assistant and commands: loaded for the moment ----------------------------------------------------------------

    async def _announce(self):
        live = self.parts.live
        cells = live.get(field.CELL_COUNT) or 0
        if self.settings.discovery and (self._cells is None or cells > self._cells):
            self._cells = cells
            await self._discovery("announce")

    async def _discovery(self, what):
        await getattr(once("mqtt.discovery"), what)(self)
        self.tidy()

    def _on_message(self, topic, payload):
        """The reader calls this for each message."""
        self._commands.put(topic, payload)
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())

    async def _work(self):
        commands = once("mqtt.commands")
        try:
            while len(self._commands):
                topic, payload = await self._commands.get()
                await commands.carry_out(self, topic, payload)
                await asyncio.sleep_ms(_COMMAND_MS)  # a flood of them keeps nobody busy, most of it is dropped
        finally:
            self._worker = None
