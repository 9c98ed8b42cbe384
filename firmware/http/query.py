"""The parameters of a query string. Loaded for one use."""


def parse(text):
    """{name: value} of `a=1&b=x%20y`, the first value of each name. Raises ValueError for %zz and for what is no text."""
    args = {}
    for pair in text.split("&"):
        if pair:
            name, _, value = pair.partition("=")
            args.setdefault(_decoded(name), _decoded(value))
    return args


def _decoded(text):
    first, *others = text.replace("+", " ").encode().split(b"%")
    for part in others:
        first += bytes((int(part[:2], 16),)) + part[2:] if part else b"%"
    return first.decode()
