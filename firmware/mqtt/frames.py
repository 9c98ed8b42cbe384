"""The topics can_raw, can_ready (what we send) and can_decoded. Loaded while one of them is switched on."""

import json


def messages(topics, parts, direction, can_id, data):
    """(topic, bytes) of each message for a frame of the bus. `topics`: {name: bytes, None when off}."""
    message = {
        "timestamp_ms": parts.board.epoch_ms(),
        "direction": direction,
        "can_id": "0x%03X" % can_id,
        "dlc": len(data),
        "data": list(data),
    }
    text = json.dumps(message).encode()
    if topics["can_raw"]:
        yield topics["can_raw"], text
    if topics["can_ready"] and direction == "TX":
        yield topics["can_ready"], text
    decoded = topics["can_decoded"] and parts.can.decode(can_id, data)
    if decoded:
        del message["data"], message["dlc"]
        message["decoded"] = decoded
        yield topics["can_decoded"], json.dumps(message).encode()
