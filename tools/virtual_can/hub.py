"""The bus between the adapters, its injected faults and its control channel."""

from __future__ import annotations

import asyncio

from tools.virtual_can.adapter import ACK_STYLES, frame_id, frame_line, parse_frame

NO_ACK_MODES = ("fifo", "accept", "error")
_FAULTS = ("drop", "bus_off", "error", "mute", "partial", "slow_read", "garbage", "disconnect")


class Fault:
    """One injected fault: how often it still acts (-1: until it is taken away) and on whom."""

    def __init__(self, request):
        self.left = int(request["count"]) if "count" in request else -1
        self.client = request.get("client")
        self.sent = None if request.get("sent") is None else int(str(request["sent"]), 0)
        self.can_id = None if request.get("can_id") is None else int(str(request["can_id"]), 0)
        self.reopen = bool(request.get("reopen"))
        self.exempt = set()

    def hits(self, client, can_id=None):
        """True when it concerns this client (and frame)."""
        if self.left == 0 or client in self.exempt:
            return False
        if self.client is not None and client.number != self.client:
            return False
        if self.sent is not None and self.sent not in client.ids:
            return False
        return self.can_id is None or can_id is None or self.can_id == can_id

    def act(self, client, can_id=None):
        """Like `hits`, and counts."""
        hit = self.hits(client, can_id)
        if hit and self.left > 0:
            self.left -= 1
        return hit


class Hub:
    """The bus between the adapters.

    `no_ack`: what an adapter does with a frame that nobody acknowledges: "fifo" (keeps it until somebody is there, BELL
    when full), "accept" (takes and forgets it), "error" (BELL at once). `ack`: its answer to a frame that it took, "z"
    (z or Z, CR), "cr" or "none". `fifo`: frames.
    """

    def __init__(self, no_ack="fifo", ack="z", fifo=32):
        self.no_ack, self.ack, self.fifo = no_ack, ack, fifo
        self.clients = []
        self.delivered = self.lost = self.dropped_clients = 0
        self._faults = {}
        self._count = 0

    # -- called by the clients

    def join(self, client):
        self._count += 1
        client.number = self._count
        if self.fault("disconnect", client):
            client.transport.abort()
            return
        self.clients.append(client)
        if self.faults_hit("slow_read", client):
            client.transport.pause_reading()

    def leave(self, client):
        if client in self.clients:
            self.clients.remove(client)

    def opened(self, client):
        bus_off = self._faults.get("bus_off")
        if bus_off and bus_off.reopen:
            bus_off.exempt.add(client)

    def retry(self):
        """Send what waits for an acknowledge, where it may have one now."""
        for sender in self.clients:
            while sender.pending and self._heard(sender):
                self._deliver(sender, sender.pending.popleft())

    def transmit(self, sender, line):
        """Put a frame on the bus; False: the adapter did not take it."""
        can_id = frame_id(line)
        if self.faults_hit("bus_off", sender, can_id) or self.fault("error", sender, can_id):
            return False
        sender.ids.add(can_id)
        if self._heard(sender):
            self._deliver(sender, line)
        elif self.no_ack == "error" or (self.no_ack == "fifo" and len(sender.pending) >= self.fifo):
            return False
        elif self.no_ack == "fifo":
            sender.pending.append(line)
        else:
            self.lost += 1
        return True

    def _others(self, sender):
        return [one for one in self.clients if one is not sender and one.open and one.bit_rate == sender.bit_rate]

    def _heard(self, sender):
        return any(not one.listen and not self.faults_hit("bus_off", one) for one in self._others(sender))

    def _deliver(self, sender, line):
        sender.sent += 1
        if self.fault("drop", sender, frame_id(line)):
            self.lost += 1
            return
        self.delivered += 1
        for client in self._others(sender):
            client.deliver(line)

    def faults_hit(self, name, client, can_id=None):
        fault = self._faults.get(name)
        return fault is not None and fault.hits(client, can_id)

    def fault(self, name, client, can_id=None):
        """True when the fault acts on this client (and frame) now; counts."""
        fault = self._faults.get(name)
        return fault is not None and fault.act(client, can_id)

    # -- control channel

    def control(self, cmd, request):
        """Commands of the control channel.

        state                            clients, counters, faults
        fault {name, on, count, ms}      start a fault, or end it with on = false; it acts `count` times, for `ms`
                                         milliseconds, or until `clear`; on all clients, on the one whose number in
                                         `state` is `client`, or on those that have `sent` an identifier
          drop {can_id}                  frames vanish after they were acknowledged
          bus_off {reopen}               adapters refuse and receive nothing; reopen: a channel opened again is cured
          error {can_id}                 adapters answer BELL to frames
          mute                           adapters answer nothing at all
          partial                        frames to a client are cut in half and lack their CR
          slow_read                      nothing is read from the clients
          garbage {hex}                  send these bytes to the clients, at once
          disconnect                     close connections, at once; with ms or count, refuse new ones as well
        clear                            end all faults
        send {can_id, data, extended}    put a frame on the bus (data in hex), from nobody
        set {no_ack, ack, fifo}          behaviour of the adapters, see `Hub`
        """
        handler = {
            "state": self._state, "fault": self._fault, "clear": self._clear, "send": self._send, "set": self._set,
        }.get(cmd)  # fmt: skip
        if handler is None:
            raise ValueError(f"unknown command {cmd}")
        return handler(request)

    def _state(self, _request):
        return {
            "clients": [client.state() for client in self.clients],
            "faults": {name: fault.left for name, fault in self._faults.items() if fault.left},
            "delivered": self.delivered, "lost": self.lost, "dropped_clients": self.dropped_clients,
            "no_ack": self.no_ack, "ack": self.ack, "fifo": self.fifo,
        }  # fmt: skip

    def _fault(self, request):
        name = request["name"]
        if name not in _FAULTS:
            raise ValueError(f"unknown fault {name}, there are: {', '.join(_FAULTS)}")
        if not request.get("on", True):
            self._end(name, self._faults.get(name))
            return
        fault = Fault(request)
        hit = [client for client in self.clients if fault.hits(client)]
        if name == "garbage":
            data = bytes.fromhex(request.get("hex", "ff00410d7a7a"))
            for client in hit:
                client.write(data)
            return
        if name == "disconnect":
            for client in hit:
                client.transport.abort()
            if "ms" not in request and "count" not in request:
                return
        self._faults[name] = fault
        if name == "slow_read":
            for client in hit:
                client.transport.pause_reading()
        if "ms" in request:
            asyncio.get_running_loop().call_later(request["ms"] / 1000, self._end, name, fault)

    def _end(self, name, fault):
        if fault is None or self._faults.get(name) is not fault:
            return  # another one has taken its place
        del self._faults[name]
        if name == "slow_read":
            for client in self.clients:
                client.transport.resume_reading()
        self.retry()

    def _clear(self, _request):
        for name, fault in list(self._faults.items()):
            self._end(name, fault)

    def _send(self, request):
        data = bytes.fromhex(request.get("data", ""))
        line = frame_line(int(str(request["can_id"]), 0), data, bool(request.get("extended")))
        if parse_frame(line) is None:
            raise ValueError("no such frame")
        for client in self.clients:
            client.deliver(line)

    def _set(self, request):
        if request.get("no_ack", self.no_ack) not in NO_ACK_MODES or request.get("ack", self.ack) not in ACK_STYLES:
            raise ValueError("no_ack is fifo, accept or error; ack is z, cr or none")
        self.no_ack = request.get("no_ack", self.no_ack)
        self.ack = request.get("ack", self.ack)
        self.fifo = int(request.get("fifo", self.fifo))
