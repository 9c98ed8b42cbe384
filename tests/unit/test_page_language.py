"""Alerts in the language of their reader: two pages at once, a page that changes its mind, REST; else the setting."""

import json
import sys

from firmware import bus as topics
from firmware import live as L
from tests.unit.alerts_parts import Bench
from tests.unit.http_parts import Gateway, Parts  # puts lib/ on the path

HIGH = 3  # type: a cell is too high
ENGLISH, FRENCH = "Cell voltage high: Cell 9 = 3.7V > 3.65V", "Tension cellule haute: Cell 9 = 3.7V > 3.65V"
BAD = {"type": "error", "error": "Invalid parameter", "code": "INVALID_PARAMETER", "details": "lang must be fr or en"}


class World:
    """Parts of a gateway with one active alert, whose bus carries the alerts."""

    def __init__(self):
        self.bench = Bench(debounce_sec=0)
        self.bench.live.data[L.CELL_MAX], self.bench.live.data[L.CELL_MIN] = 3700, 3690
        self.bench.run(1)
        self.parts = Parts()
        self.parts.alerts, self.parts.bus = self.bench.alerts, self.bench.bus
        self.parts.config = self.bench.config

    def say(self, language):
        self.bench.config.values["system.language"] = language

    def publish(self):
        self.bench.bus.publish(topics.ALERT, (self.bench.alerts.active[HIGH].id,))


class Reader:
    """What a page gets: its `Page`, and the queue that a ws.Client would read."""

    def __init__(self, world):
        from firmware.http.ws_page import Page

        self.page = Page(type("App", (), {"parts": world.parts})())
        self.queue = world.parts.bus.queue((), 24)

    def ask(self, *streams, **more):
        self.page.told(dict({"type": "subscribe", "streams": list(streams)}, **more), self.queue)
        return self.got()

    def got(self):
        """The messages since the last look."""
        found = []
        while len(self.queue):
            topic, payload = self.queue._items[self.queue._head]
            self.queue._head = (self.queue._head + 1) % len(self.queue._items)
            self.queue._count -= 1
            message = self.page.convert(topic, payload)
            if message is not None:
                found.append(message if isinstance(message, dict) else json.loads(bytes(message)[_head(message) :]))
        return found

    def alerts(self):
        """The texts of the alerts among them."""
        return [one["message"] for found in self.got() for one in found.get("alerts") or [found["alert"]]]


def _head(frame):
    return 2 if frame[1] < 126 else 4


def test_two_pages_have_their_own_languages():
    world = World()
    english, french, silent = Reader(world), Reader(world), Reader(world)
    for reader, more, text in (
        (english, {"lang": "en"}, ENGLISH),
        (french, {"lang": "fr"}, FRENCH),
        (silent, {}, FRENCH),
    ):
        (first,) = reader.ask("alerts", **more)
        assert first["type"] == "alerts" and [one["message"] for one in first["alerts"]] == [text]
    world.publish()
    assert (english.alerts(), french.alerts(), silent.alerts()) == ([ENGLISH], [FRENCH], [FRENCH])
    world.say("en")  # the setting is for who says nothing, at once
    world.publish()
    assert (english.alerts(), french.alerts(), silent.alerts()) == ([ENGLISH], [FRENCH], [ENGLISH])


def test_a_page_changes_its_language():
    world = World()
    reader = Reader(world)
    reader.ask("alerts", lang="en")
    world.publish()  # waits in the queue while the page asks
    found = reader.ask("alerts", lang="fr")
    assert [one["type"] for one in found] == ["alert", "alerts"]
    assert found[0]["alert"]["message"] == ENGLISH and found[1]["alerts"][0]["message"] == FRENCH
    world.publish()
    assert reader.alerts() == [FRENCH]
    reader.ask("alerts")
    world.say("en")
    world.publish()
    assert reader.alerts() == [ENGLISH]


def test_a_bad_language_changes_nothing_and_is_told():
    world = World()
    reader = Reader(world)
    reader.ask("alerts", lang="en")
    for bad in ("de", "", "EN", 5, ["fr"], {"fr": 1}, True):
        assert reader.ask("events", lang=bad) == [BAD]
    world.publish()
    assert reader.alerts() == [ENGLISH]
    assert [one["type"] for one in Reader(world).ask("alerts", lang=None)] == ["alerts"]


def test_nothing_of_it_stays_loaded():
    world = World()
    reader = Reader(world)
    reader.ask("alerts", lang="en")
    world.publish()
    reader.alerts()
    world.bench.alerts.forget()
    for name in ("http.query", "http.ws_alerts", "alerts.texts", "alerts.life"):
        assert "firmware." + name not in sys.modules, name


async def test_rest_in_both_languages():
    world = World()
    async with Gateway(world.parts) as gateway:

        async def texts(path):
            status, _, body = await gateway.ask("GET", path)
            assert status == 200, body
            return [one["message"] for one in json.loads(body)["alerts"]]

        for path in ("/api/alerts/active", "/api/alerts/history"):
            for setting, text in (("fr", FRENCH), ("en", ENGLISH)):
                world.say(setting)
                assert await texts(path) == [text]
                assert await texts(path + "?lang=en") == [ENGLISH] and await texts(path + "?lang=fr") == [FRENCH]
            for bad in ("de", "", "EN", "fr%20"):
                status, _, body = await gateway.ask("GET", path + "?lang=" + bad)
                error = dict(BAD)
                del error["type"]
                assert status == 400 and json.loads(body) == error
