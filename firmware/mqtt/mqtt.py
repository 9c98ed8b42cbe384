"""The MQTT part: what stays in memory while MQTT is off. Once a broker is configured it loads `session.py` and more."""

import asyncio
from firmware import bus as topics
from firmware import lazy
from firmware.lazy import seldom


class Mqtt:
    """`parts`: board, live, bus, bms, can, config, log, alerts, version, restart. `await run()` is the whole of it, for ever.

    Its other methods and attributes are those of `part.py`: `mqtt.status()` is `status(mqtt)` there.
    """

    @seldom
    def __init__(self, parts):
        self.parts = parts
        self.changed = asyncio.Event()  # settings of ours have changed
        self.part = None  # the module of that name while a broker is configured
        self.begun = False
        parts.config.get("mqtt.broker_uri")  # while the schema is loaded
        parts.bus.subscribe(topics.CONFIG, self._on_config)

    def __getattr__(self, name):
        function = getattr(self.part or lazy.once("mqtt.part"), name)
        return lambda *args: function(self, *args)

    def _on_config(self, topic, keys):
        for key in keys:
            if key.startswith("mqtt."):
                self.changed.set()

    async def run(self):
        while True:
            self.changed.clear()
            if self.parts.config.get("mqtt.broker_uri"):
                self.part = lazy.once("mqtt.part")
                await self.part.keep(self)
            else:
                await self.changed.wait()
