"""The parameters of a query string, and the language that a reader asks for. Loaded for one use."""


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


def lang(asked, default):
    """The language that `asked` names as its `lang`: "fr" or "en", `default` for none. Raises ApiError 400 for another.

    `asked`: the parameters of a request (None: it has none), or a message of a page.
    """
    value = asked.get("lang") if asked else None
    if value is None:
        return default
    if value not in ("fr", "en"):
        from firmware.http.api import ApiError  # only here: who opens the port has no server yet

        raise ApiError(400, "INVALID_PARAMETER", "Invalid parameter", "lang must be fr or en")
    return value
