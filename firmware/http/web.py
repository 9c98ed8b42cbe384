"""The Microdot application: finds the module of a path, loads it when first asked, drops it when idle, and shapes errors.

Modules stay out of memory until somebody asks for what they serve; `sweep` forgets those that nobody has used for a while.
"""

import gc
import sys
from micropython import const
from microdot import Microdot
from firmware import lazy
from firmware.http.api import ApiError
from firmware.http.auth import Auth

_UPLOAD_MAX = const(4 * 1024 * 1024)  # each handler has its own limit below this one
_IDLE_MS = const(30_000)
_IDLE_SHORT_MS = const(500)  # when memory is short
_HEAP_LOW = 20 * 1024 if sys.maxsize >= 1 << 32 else 14 * 1024  # objects of a board are two thirds as large
_IDF_LOW = const(12 * 1024)
_LOOK_MS = const(50)  # a look at the free heap goes through all of it: not for each request of a burst

# second part of /api/... = module. One text instead of dicts: it lies in memory all the time.
_API = (
    " status=status metrics=status event-bus=status system=system_api can=can_api config=config_api"
    " registers=registers_api auth=auth_api alerts=alerts_api history=history_api energy=history_api"
    " mqtt=mqtt_api wifi=wifi_api ble=ble_api ota=ota_api openapi.json=static "
)
_WS = " telemetry=telemetry events=ws_streams uart=ws_streams can=ws_streams alerts=alerts_api page=ws_page "
# the part (attribute of `parts`) without which a module has nothing to serve
_NEEDS = " can_api=can registers_api=bms alerts_api=alerts history_api=history mqtt_api=mqtt ota_api=ota "


def _lookup(table, name):
    """What stands behind `name=` in the table, or None."""
    key = " " + name + "="
    at = table.find(key) + len(key)
    return None if at < len(key) or "=" in name else table[at : table.find(" ", at)]


def _module_of(path):
    """Name of the module that serves `path`, None for an unknown path of the API."""
    words = path.split("/")
    if words[1] == "api":
        return _lookup(_API, words[2]) if len(words) > 2 else None
    if words[1] == "ws":
        return _lookup(_WS, words[2]) if len(words) == 3 else None
    return "prometheus" if path == "/metrics" else "static"


async def _not_available(request):
    raise ApiError(503, "NOT_AVAILABLE", "Service unavailable", "this gateway runs without that part")


def _error(status):
    """The ApiError that says no more than its status."""
    return lazy.once("http.errors").plain(status)


class Web(Microdot):
    """`parts` is one object with what the handlers talk to: board, live, bus, bms, can, config, log, tasks, version,
    restart(delay_ms), and alerts, history, mqtt, ota, which are None where there is no such part.

    Microdot's routes, hooks and tables of handlers are not used: a path leads to a module, which has few routes of its own.
    """

    def __init__(self, parts, door):
        """`door` holds what stays when this goes: see door.Door."""
        self.parts = parts
        self.door = door
        self.auth = Auth(parts, door)
        self.sockets = 0  # WebSockets that are open
        self._modules = {}  # name: [routes, ticks of the last use]
        self._free = 0  # bytes of heap, and ticks when that was looked at
        self._looked = None

    # -- requests ----------------------------------------------------------------------------------------------------

    async def dispatch_request(self, request):
        """The response to `request`; what goes wrong is answered in the format of the API."""
        try:
            if request.content_length > _UPLOAD_MAX:
                raise _error(413)
            portal = getattr(self.parts, "portal", None)
            if portal:
                self._lead_to(portal, request)
            handler, rest, guarded = self._find(request)
            asked = self.auth.check(request, guarded)
            if asked:
                await asked
            response = await handler(request, *rest)
        except ApiError as error:
            response = error.response()
        except MemoryError as error:
            self.log_exception(error)
            gc.collect()
            response = ApiError(503, "LOW_MEMORY", "Service unavailable").response()
        except Exception as error:
            self.log_exception(error)
            response = _error(500).response()
        if request.method == "HEAD":
            response.is_head = True
        return response

    @staticmethod
    def _lead_to(portal, request):
        """Raises ApiError 302 where a client of the access point looks for the Internet."""
        url = portal.redirect(request.client_addr, request.method, request.path, request.headers.get("host", ""))
        if url:
            raise ApiError(302, "PORTAL", "Found", url, {"Location": url})

    def _find(self, request):
        """(handler, its arguments besides the request, guarded). Raises ApiError 404, 405."""
        path = request.path
        method = "GET" if request.method == "HEAD" else request.method
        if path.endswith("/*"):
            raise _error(404)  # is the pattern of a route, and no path
        key = method + " " + path
        for entry in self._modules.values():  # as a rule: asked for again, by its full path
            route = entry[0].get(key)
            if callable(route):
                entry[1] = self.parts.board.ticks_ms()
                return route, (), False
        name = _module_of(path)
        if name is None:
            raise _error(404)
        need = _lookup(_NEEDS, name)
        if need and getattr(self.parts, need, None) is None:
            return _not_available, (), False
        routes = self._routes(name)
        if name == "static" and path != "/api/openapi.json":
            path = "/*"  # the module looks at the rest itself
        rest = ()
        route = routes.get(method + " " + path)
        if route is None:
            head, _, last = path.rpartition("/")
            pattern = head + "/*"
            route = routes.get(method + " " + pattern)
            if route is None:
                raise lazy.once("http.errors").no_route(routes, path, pattern)
            rest = (last,)
        if isinstance(route, tuple):
            return route[0], rest, True
        return route, rest, False

    def _routes(self, name):
        entry = self._modules.get(name)
        now = self.parts.board.ticks_ms()
        if entry is None:
            gc.collect()
            entry = self._modules[name] = [lazy.load("http." + name).register(self, self.parts), now]
        entry[1] = now
        return entry[0]

    def sweep(self, idle_ms=_IDLE_MS):
        """Forget the modules that were idle for so long, and what they shared."""
        board = self.parts.board
        now = board.ticks_ms()
        swept = False
        for name in list(self._modules):
            if board.ticks_diff(now, self._modules[name][1]) < idle_ms or (self.sockets and "=" + name + " " in _WS):
                continue
            del self._modules[name]
            lazy.drop("http." + name)
            swept = True
        if swept:
            lazy.drop("http.body")  # who still needs it holds it
            lazy.drop("http.json_stream")
            if not self.sockets:
                lazy.drop("http.ws")
                lazy.drop("http.battery")

    def heap_free(self):
        """Bytes of free heap, as they were at most 50 ms ago."""
        board = self.parts.board
        now = board.ticks_ms()
        if self._looked is None or not 0 <= board.ticks_diff(now, self._looked) < _LOOK_MS:
            self._free, self._looked = board.heap_free(), now
        return self._free

    def low_memory(self):
        """True when nothing new may be taken on. Collects garbage before it says so."""
        board = self.parts.board
        idf = board.idf_free()
        if idf is not None and idf < _IDF_LOW:
            return True
        if self.heap_free() >= _HEAP_LOW:
            return False
        self._looked = None
        self.sweep(_IDLE_SHORT_MS)
        self.parts.forget()
        return board.heap_free() < _HEAP_LOW

    def log_exception(self, error):
        """The last lines of a traceback into the log."""
        lazy.once("http.errors").log(self.parts.log, error)
