"""GET and POST /api/registers: the settings of the TinyBMS, with what they mean and may be. Loaded when asked."""

import asyncio
from micropython import const
from firmware import lazy
from firmware import live as field
from firmware.http.api import ApiError, guarded, reply, stream
from firmware.http.body import only, read_json

_FIRST = const(300)
_COUNT = const(44)
_MIN, _MAX, _DEFAULT = const(1), const(2), const(3)  # options of 0x1D
_BODY_MAX = const(256)


def _bms_error(error):
    return ApiError(503, "BMS_" + error.code.upper(), "The BMS did not answer", str(error))


class Registers:
    def __init__(self, parts):
        self._parts = parts
        self._bms = parts.bms
        self._lock = asyncio.Lock()  # read, check and write belong together

    async def _limits(self, option):
        """The 44 words of 0x1D, None from a BMS that does not know it."""
        try:
            return await self._bms.read_limits(option)
        except self._bms.Error:
            return None

    async def get(self, request):
        language = lazy.once("http.query").lang(request.args, self._parts.config.get("system.language"))
        words = lows = highs = defaults = None
        if self._parts.live.connected():
            try:
                words = await self._bms.read(_FIRST, _COUNT)
            except self._bms.Error:
                pass  # the catalogue is worth showing without values
            else:
                lows, highs = await self._limits(_MIN), await self._limits(_MAX)
                defaults = await self._limits(_DEFAULT)
        firmware = self._parts.live.get(field.FIRMWARE)
        catalogue = self._bms.catalogue
        entries = (
            catalogue.entry(line, language, words, lows, highs, defaults, firmware) for line in catalogue.lines()
        )
        return stream({"connected": words is not None, "language": language, "registers": entries})

    async def post(self, request):
        body = await read_json(request, _BODY_MAX)
        only(body, ("key", "address", "value"))
        name = body.get("key", body.get("address"))
        if type(name) not in (str, int) or "value" not in body:
            raise ApiError(400, "INVALID_REGISTER", "Invalid register", "key (or address) and value are needed")
        async with self._lock:
            try:
                return await self._write(name, body["value"])
            except self._bms.catalogue.RegisterError as error:
                raise ApiError(400, "INVALID_REGISTER", "Invalid register", error.details)
            except self._bms.Error as error:
                raise _bms_error(error)

    async def _write(self, name, value):
        catalogue = self._bms.catalogue
        line = catalogue.find(name)
        words = await self._bms.read(_FIRST, _COUNT)
        lows, highs = await self._limits(_MIN), await self._limits(_MAX)
        firmware = self._parts.live.get(field.FIRMWARE)
        writes = catalogue.check_write(name, value, words, lows, highs, firmware)
        for address, word in writes:
            read_back = await self._bms.write_register(address, word)
            if read_back != word and not line.get("once"):
                details = "register %d reads %d after %d was written" % (address, read_back, word)
                raise ApiError(500, "READ_BACK_DIFFERS", "The BMS did not take the value", details)
            words[address - _FIRST] = read_back
        self._parts.log.info("http", "register %s set to %s" % (line["key"], value))
        return reply(
            {
                "success": True,
                "key": line["key"],
                "address": line["address"],
                "value": value if line.get("once") else catalogue.decode(line, words),
                "restart": line.get("restart", False),
            }
        )


def register(app, parts):
    registers = Registers(parts)
    return {"GET /api/registers": registers.get, "POST /api/registers": guarded(registers.post)}
