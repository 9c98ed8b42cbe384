"""Big JSON in small pieces: no answer needs a buffer for all of itself."""

import json


def pieces(value):
    """Yield the JSON text of `value` in pieces; dicts as they are, lists, tuples and generators item by item.

    The writer of a connection collects the pieces into packets of under 1 KB. A dict whose values are all plain is one piece, so
    keep such leaves small.
    """
    if isinstance(value, dict):
        if _flat(value.values()):
            yield json.dumps(value)
            return
        lead = "{"
        for key, item in value.items():
            yield lead + json.dumps(key) + ":"
            yield from pieces(item)
            lead = ","
        yield "}"
    elif isinstance(value, (list, tuple)) or hasattr(value, "__next__"):
        lead = "["
        for item in value:
            yield lead
            yield from pieces(item)
            lead = ","
        yield "]" if lead == "," else "[]"
    else:
        yield json.dumps(value)


def _flat(values):
    return all(not (isinstance(item, (dict, list, tuple)) or hasattr(item, "__next__")) for item in values)
