"""The targets, under MicroPython: `target(name)` gives a function (case bytes) -> what the host's oracle looks at.

Every exception that a target does not catch is a finding, so it catches the declared ones only. A case begins with the few
bytes that say how it is cut or what is expected; the rest is what a stranger sent.
"""

_WHERE = {"uart slcan": "wires", "bundle stored body": "files", "mqtt dns ntp captive": "net"}


def target(name):
    places = [where for names, where in _WHERE.items() if name in names.split()]
    module = "tools.fuzz.device." + (places[0] if places else "http")
    return getattr(__import__(module, None, None, (name,)), name)()
