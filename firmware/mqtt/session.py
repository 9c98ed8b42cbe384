"""What is on while a broker is configured: keeps the connection, and sends what is due. One task.

Out of order it goes by class: alerts first, each until it is acknowledged; then answers to commands; then status, configuration
and metrics, which are made when they are sent, so that only the newest exists; then CAN frames. One QoS 1 message is on its way
at a time.
"""

import asyncio
import gc
import json
import os
from micropython import const
from firmware import bus as topics
from firmware import live as field
from firmware.lazy import drop, load, once
from firmware.mqtt import client, messages

_STEP_MS = const(50)
_BUSY_MS = const(200)  # so long after an incoming message the next ones are acknowledged at once
_STATUS_MS = const(10_000)
_METRICS_MS = const(1000)
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
_PIECES = const(16)  # of the configuration, about one each key, looked up without a pause


async def run(part):
    """Until no broker is configured any more."""
    session = Session(part)
    try:
        await session.run()
    finally:
        session.end()


class Session:
    """`part`: mqtt.Mqtt."""

    def __init__(self, part):
        self.part = part
        self.parts = parts = part.parts
        self.settings = None
        self.connection = None
        bus = parts.bus
        self.answers = topics.Queue(_ANSWERS)
        self._commands = topics.Queue(_COMMANDS)
        self._worker = None  # task that carries out commands
        self._alerts = bus.queue((topics.ALERT,), _ALERTS)
        self._frames = None
        for topic in (topics.STATUS, topics.LINK, topics.LIMITS):
            bus.subscribe(topic, self._on_change)
        bus.subscribe(topics.CONFIG, self._on_config)
        bus.subscribe(topics.EVENT, self._on_event)
        self._pid = 0
        self._alert = None  # the alert on its way: (text, packet identifier), kept until it is acknowledged
        self._waits = 0  # packet identifier of the QoS 1 message on its way
        self._since = 0
        self._pinged = False
        self._status_due = True
        self._status_at = self._metrics_at = 0
        self._soc = self._polls = None
        self._cells = None  # cells that Home Assistant knows of

    def end(self):
        bus = self.parts.bus
        for topic in (topics.STATUS, topics.LINK, topics.LIMITS):
            bus.unsubscribe(topic, self._on_change)
        bus.unsubscribe(topics.CONFIG, self._on_config)
        bus.unsubscribe(topics.EVENT, self._on_event)
        bus.close(self._alerts)
        self._watch_frames(False)
        if self._worker:
            self._worker.cancel()

    def _on_change(self, topic, payload):
        self._status_due = True

    def _on_config(self, topic, keys):
        self.part.config_due = True

    def _on_event(self, topic, event):
        self.part.hurry = self.part.hurry or event[0] == "WIFI_CONNECTED"

    def _check_limits(self):
        if self.part.limits_until is not None:
            self.part.check_limits()

    def _watch_frames(self, on):
        if self._frames:
            self.parts.bus.close(self._frames)
        self._frames = self.parts.bus.queue((topics.CAN_FRAME,), _FRAMES) if on else None

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
            self._tidy()
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
        busy = self._status_at = self._metrics_at = self.parts.board.ticks_add(now, -_STATUS_MS)
        self._waits = 0
        self._pinged = False
        self._cells = None
        self._status_due = self.part.config_due = True
        self._polls = None
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
            if not await self._send_one(connection, now):
                await self._announce()
                await asyncio.sleep_ms(2 if diff(now, busy) < _BUSY_MS else _STEP_MS)

    async def _leave(self, connection):
        """Say good-bye on the settings that held until now."""
        await self._discovery("leave")
        await connection.publish(self.settings.will_topic, b"offline", True)

    async def _keep_alive(self, connection, now):
        diff = self.parts.board.ticks_diff
        if self._waits and connection.acked == self._waits:
            if self._alert and self._alert[1] == self._waits:
                self._alert = None
            self._waits = 0
        silent = diff(now, connection.heard)
        if self._waits and diff(now, self._since) > _ACK_MS:
            raise OSError("mqtt: no PUBACK")
        after = min(_PING_MS, self.settings.keepalive * 500)
        if silent < after:
            self._pinged = False
        elif not self._pinged:
            self._pinged = True
            await connection.ping()
        elif silent > after + _PONG_MS:
            raise OSError("mqtt: no PINGRESP")

    # -- sending -------------------------------------------------------------------------------------------------------

    async def _send_one(self, connection, now):
        """Send what is most urgent; False when nothing is due."""
        parts, settings = self.parts, self.settings
        diff = parts.board.ticks_diff
        if not self._waits and (self._alert or len(self._alerts)):
            return await self._send_alert(connection)
        if len(self.answers):
            topic, payload = await self.answers.get()
            await self._publish(topic, payload)
            return True
        live = parts.live
        if not (self._waits and settings.qos):
            soc = live.get(field.SOC)
            soc = None if soc is None else soc // 100
            if self._status_due or soc != self._soc or diff(now, self._status_at) >= _STATUS_MS:
                self._status_due = False
                self._soc = soc
                self._status_at = now
                await self._publish("status", messages.status(live, parts.board))
                return True
            if self.part.config_due:
                self.part.config_due = False
                gc.collect()
                await self._publish("config", await self._config())
                self._tidy()
                return True
            if (
                live.polls != self._polls
                and diff(now, self._metrics_at) >= _METRICS_MS
                or diff(now, self._metrics_at) >= _STATUS_MS
            ):
                self._polls = live.polls
                self._metrics_at = now
                message = messages.metrics(live, parts.board, parts.bms.counters, parts.can.driver)
                await self._publish("metrics", message)
                return True
        if self._frames and len(self._frames):
            _, frame = await self._frames.get()
            for topic, payload in load("mqtt.frames").messages(settings.topics, parts, *frame):
                await self._publish(topic, payload)
            return True
        return False

    async def _publish(self, name, payload):
        """Send on the topic `name` of the settings, or the topic itself (bytes), as the settings want it."""
        settings = self.settings
        pid = 0
        if isinstance(name, str):
            topic, retain = settings.topics[name], settings.retain
            if settings.qos:
                pid = self._take_pid()
        else:
            topic, retain = name, False
        await self.connection.publish(topic, payload, retain, pid)
        self.part.sent += 1

    def _take_pid(self):
        self._pid = self._waits = self._pid % 65535 + 1
        self.connection.acked = 0
        self._since = self.parts.board.ticks_ms()
        return self._pid

    async def _send_alert(self, connection):
        again = self._alert is not None
        if not again:
            _, payload = await self._alerts.get()
            alerts = self.parts.alerts
            alert = alerts and alerts.get(payload[0])
            if not alert:
                return True  # gone from the log since
            self._alert = (json.dumps(alerts.texts().entry(alert)).encode(), self._take_pid())
        else:  # the connection broke before the answer came
            self._waits = self._pid = self._alert[1]
            connection.acked = 0
            self._since = self.parts.board.ticks_ms()
        await connection.publish(self.settings.topics["alerts"], self._alert[0], False, self._waits, again)
        self.part.sent += 1
        return True

    def _tidy(self):
        """What was loaded for a moment must not add up."""
        self.parts.config.release()
        gc.collect()

    async def _config(self):
        pieces = self.parts.config.pieces
        size = 0
        for i, piece in enumerate(pieces()):
            size += len(piece.encode())
            if i % _PIECES == 0:
                await asyncio.sleep_ms(0)
        return client.Body(size, (piece.encode() for piece in pieces()))

    # -- Home Assistant and commands: loaded for the moment ----------------------------------------------------------------

    async def _announce(self):
        live = self.parts.live
        cells = live.get(field.CELL_COUNT) or 0
        if self.settings.discovery and (self._cells is None or cells > self._cells):
            self._cells = cells
            await self._discovery("announce")

    async def _discovery(self, what):
        await getattr(once("mqtt.discovery"), what)(self)
        self._tidy()

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
