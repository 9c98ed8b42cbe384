"""Host and Origin: may this page, by this name, change something here? Loaded for one use."""

from firmware.http.api import ApiError


def host_of(authority):
    """("name", ":port" or "") of a Host header or the rest of an Origin, in lower case; brackets of IPv6 stay."""
    authority = authority.lower()
    if authority.startswith("["):
        name, bracket, port = authority.partition("]")
        return name + bracket, port
    name, colon, port = authority.partition(":")
    return name, colon + port


def _is_ip(name):
    if name.startswith("["):
        return True
    words = name.split(".")
    return len(words) == 4 and all(word.isdigit() and len(word) < 4 for word in words)


def _is_own(name, config):
    if _is_ip(name) or name == "localhost":
        return True
    if name == config.get("system.hostname").lower() + ".local":
        return True
    return name in config.get("auth.allowed_hosts").lower().replace(",", " ").split()


def check(headers, config):
    """Raises ApiError 403 when the request comes from a foreign page, or by a name that is not ours (DNS rebinding)."""
    host = headers.get("host", "")
    name, port = host_of(host)
    if host and not _is_own(name, config):
        raise ApiError(403, "FOREIGN_HOST", "Forbidden", "Host is not an address or name of this gateway")
    origin = headers.get("origin")
    if origin is None:
        return
    scheme, _, authority = origin.partition("://")
    other, other_port = host_of(authority)
    if (other, other_port or ":80") == (name, port or ":80") and scheme in ("http", "https"):
        return
    if other and other != name and not _is_ip(other) and other != "localhost" and _is_own(other, config):
        return  # a name from auth.allowed_hosts, behind a proxy perhaps
    raise ApiError(403, "FOREIGN_ORIGIN", "Forbidden", "Origin is not this gateway")
