"""/ws/page: the one socket of a dashboard. Loaded when a page is open.

The page says what it wants, {"type": "subscribe", "streams": ["telemetry", "events", "alerts", "state", "uart", "can"]}, as
often as it likes; what it leaves out ends. With "lang": "fr" or "en" its alerts come in that language, else in the gateway's.
The messages are those of /ws/telemetry ... /ws/can; all of them go through one bounded queue. What cannot be done changes nothing
and is answered with {"type": "error"} and the rest as in an error of the API.
`state` is what the page shows besides the battery: one message at once, when something has changed, and each 10 s.
"""

from micropython import const
from firmware import bus as topics
from firmware import lazy
from firmware.http import ws
from firmware.http.api import ApiError

_QUEUE = const(24)
_STATE_MS = const(10_000)
_CHANGED_MS = const(1_500)  # between two states, however much changes

# Topics of the queue besides those of the bus and of ws
_WANT = const(-10)  # what the page asked for
_STATE = const(-11)
_ALERTS = const(-12)
_ERROR = const(-13)

_EVENTS = (topics.EVENT, topics.STATUS, topics.LINK, topics.POLL, topics.GX)
_CHANGES = (topics.EVENT, topics.LINK, topics.GX, topics.LIMITS, topics.CAN_STATE, topics.CONFIG)


class Page:
    """What one page wants. Its queue belongs to a ws.Client, which calls `told`, `beat` and `left`."""

    def __init__(self, app):
        self._app = app
        self._clock = app.parts.board
        self._queue = None
        self._streams = ()
        self._lang = None  # of the alerts; None: the gateway's
        self._feed = None  # where telemetry comes from, while it is wanted
        self._converters = {}
        self._changed = False
        self._sent = 0  # ticks of the last state

    def told(self, message, queue):
        """A message of the page (a dict)."""
        streams = message.get("streams")
        if message.get("type") != "subscribe" or not isinstance(streams, list):
            return
        try:
            language = lazy.once("http.query").lang(message, None)
        except ApiError as error:
            answer = {"type": "error", "error": error.message, "code": error.code, "details": error.details}
            queue.put(_ERROR, answer)
            return
        queue.put(_WANT, (streams, language))
        self._queue = queue

    def left(self, queue):
        self._want((), None)

    def beat(self, now):
        """Twice a second: is a state due?"""
        if "state" not in self._streams:
            return
        silent = self._clock.ticks_diff(now, self._sent)
        if silent >= _STATE_MS or (self._changed and silent >= _CHANGED_MS):
            self._sent = now
            self._changed = False
            self._queue.put(_STATE, None)

    def convert(self, topic, payload):
        """The message for what came out of the queue: a dict, a frame, or None."""
        if topic == _WANT:
            return self._want(*payload)
        if topic == _ERROR:
            return payload
        if topic == _STATE:
            return lazy.once("http.page_state").frame(self._app)
        if topic in _CHANGES:
            self._changed = True
        if topic in _EVENTS:
            name = "events"
        elif topic == topics.ALERT or topic == _ALERTS:
            name = "alerts"
        elif topic == topics.UART_FRAME:
            name = "uart"
        elif topic == topics.CAN_FRAME:
            name = "can"
        else:
            return None
        if name not in self._streams:
            return None  # asked for meanwhile, or only of interest for the state
        converter = self._converter(name)
        return converter.opening() if topic == _ALERTS else converter.convert(topic, payload)

    def _converter(self, name):
        if name not in self._converters:
            parts = self._app.parts
            if name == "alerts":
                one = lazy.once("http.ws_alerts").Alerts(parts, self._lang)
            else:
                self._app._routes("ws_streams")  # all pages share one
                one = lazy.load("http.ws_streams").CONVERTERS[name](parts)
            self._converters[name] = one
        return self._converters[name]

    def _want(self, streams, language):
        queue = self._queue
        if queue is None:
            return
        self._streams = streams
        if language != self._lang:
            self._lang = language
            self._converters.pop("alerts", None)
        self._converters = {name: one for name, one in self._converters.items() if name in streams}
        wanted = set()
        if "events" in streams:
            wanted.update(_EVENTS)
        if "state" in streams:
            wanted.update(_CHANGES)
            queue.put(_STATE, None)
            self._sent = self._clock.ticks_ms()
        if "alerts" in streams and self._app.parts.alerts:
            wanted.add(topics.ALERT)
            queue.put(_ALERTS, None)
        if "uart" in streams:
            wanted.add(topics.UART_FRAME)
        if "can" in streams:
            wanted.add(topics.CAN_FRAME)
        self._app.parts.bus.watch(queue, wanted)
        if self._feed:
            self._feed.leave(queue)
            self._feed = None
        if "telemetry" in streams:
            self._feed = self._app._routes("telemetry")["feed"]
            self._feed.join(queue)


def register(app, parts):
    async def page(request):
        one = Page(app)
        return await ws.serve(app, request, (), one.convert, size=_QUEUE, page=one)

    return {"GET /ws/page": page}
