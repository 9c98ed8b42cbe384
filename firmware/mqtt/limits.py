"""Limits that a command has set: in RAM only, beside the user's own, for a time. Loaded when they change."""

from firmware.config import rules, schema

_KEYS = (("cvl_mv", "cvl_max_mv"), ("ccl_ma", "ccl_max_ma"), ("dcl_ma", "dcl_max_ma"))


def put(part, limits, seconds):
    """Put `limits` (cvl_mv, ccl_ma, dcl_ma; 0 = none) in force for so long. `part`: mqtt.Mqtt."""
    part.limits = limits
    part.limits_until = part.parts.board.uptime_s() + seconds if any(limits) else None
    part.parts.can.charge.override(*limits)
    part.parts.log.info("mqtt", "limits %d mV, %d mA, %d mA (0: none)" % limits)


def command(part, body):
    """Change what `body` holds ({"cvl_mv", "ccl_ma", "dcl_ma"}; 0 or null: none). Gives the answer; ValueError with a text.

    The values are checked like the user's own limits, charge.*_max_*.
    """
    values = list(part.limits)
    for i, (key, own) in enumerate(_KEYS):
        value = body.pop(key, values[i]) or 0
        why = rules.check_value(schema.find("charge." + own), value)
        if why:
            raise ValueError(key + " " + why)
        values[i] = value
    if body:
        raise ValueError("%s is unknown" % next(iter(body)))
    seconds = part.parts.config["mqtt.override_timeout_s"]
    put(part, tuple(values), seconds)
    answer = {key: values[i] or None for i, (key, _) in enumerate(_KEYS)}
    answer["expires_s"] = seconds if any(values) else 0
    return answer
