"""HTTP."""

import asyncio

from tools.fuzz.device.common import Request, hasten, in_hex, stream_of


def http():
    """First byte: how many bytes come at a time. The rest is all that the client says: through reader, Web and every handler."""
    from firmware.http.door import Door
    from firmware.http.server import Server
    from tests.unit.http_parts import Parts

    hasten()
    parts = Parts()
    parts.bms = None  # as in safe mode: without the two wires
    server = Server(parts, Door(parts))

    def run(case):
        stream = stream_of(parts.board, case[1:], case[0] * 4 + 1)
        parts.board.advance(5000)
        asyncio.run(server._answer(stream))
        if stream.session:
            stream.session.close()
        assert server.web.sockets == 0
        told = [text for level, _, text in parts.log.lines if level == "error"]
        del parts.log.lines[:]
        del parts.restarts[:]
        assert not told, told
        server.web.sweep()
        return in_hex(stream.client.said[:200])

    return run


def multipart():
    """First byte: pieces; second: length of the boundary, which follows; then the body."""
    from firmware.http.api import ApiError
    from firmware.http.multipart import Multipart

    hasten()

    async def read(request):
        form = Multipart(request)
        found = []
        while await form.next():
            data = b""
            while piece := await form.read():
                data += piece
                assert len(form._text) < 3000, len(form._text)
            found.append([form.name, form.filename, in_hex(data)])
        return found

    def run(case):
        size = case[1]
        try:
            boundary = case[2 : 2 + size].decode()
        except ValueError:
            return "no text"  # such a header does not get so far
        request = Request(case[2 + size :], {"content-type": "multipart/form-data; boundary=" + boundary})
        try:
            return asyncio.run(read(request))
        except ApiError as error:
            return str(error.args[0]) if error.args else "refused"

    return run


def websocket():
    """First byte: pieces. Gives the frames that were taken, and whether it ended as broken."""
    from firmware.bus import Bus
    from firmware.http import ws
    from tests.unit.help import FakeClock

    class Parts:
        board = FakeClock()

    class App:
        parts = Parts

    hasten()

    def run(case):
        size = case[0] * 4 + 1
        stream = stream_of(Parts.board, case[1:], size)
        found, bad = [], False
        try:
            while True:
                frame = ws.take_frame(stream)
                if frame:
                    found.append([frame[0], in_hex(frame[1])])
                elif not asyncio.run(stream.receive()):
                    break
        except ws.BadFrame:
            bad = True
        client = ws.Client(App, stream_of(Parts.board, case[1:], size), None, None)
        client._queue = Bus().queue((), 8)
        asyncio.run(client._read())
        return [found, bad]

    return run
