"""Reads the API reference: each endpoint and WebSocket with the JSON examples of its text, and compares shapes."""

import json
import re
from pathlib import Path

TEXT = (Path(__file__).resolve().parent.parent / "data" / "API_REFERENCE.md").read_text(encoding="utf-8")


def _parse(text):
    """The value of a JSON example: comments, hexadecimal numbers and `[...]` are the reference's own liberties."""
    text = re.sub(r"\s+//[^\n\"]*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"\b0x([0-9A-Fa-f]+)\b(?!\")", lambda match: str(int(match[1], 16)), text)
    return json.loads(text.replace("[...]", "[]"))


class Endpoint:
    """`method`, `path`, and the examples: `request` (or None), `responses` {"200": value}."""

    def __init__(self, heading, body):
        self.method, self.path = heading.split(" ", 1)
        self.request, self.responses = None, {}
        label = ""
        for piece in re.split(r"(```json\n.*?```)", body, flags=re.DOTALL):
            if not piece.startswith("```json"):
                found = re.findall(r"\*\*(Request|Response ([\d/]+))\s*:?\*?\*?", piece)
                label = found[-1] if found else label
                continue
            value = _parse(piece[8:-3])
            if label and label[0] == "Request":
                self.request = value
            elif label:
                for status in label[1].split("/"):
                    self.responses[status] = value

    def __str__(self):
        return f"{self.method} {self.path}"


def endpoints():
    """Every `#### METHOD /api/...` of the reference."""
    parts = re.split(r"^#### ((?:GET|POST|DELETE|PUT) /\S+)$", TEXT, flags=re.MULTILINE)
    result = []
    for heading, body in zip(parts[1::2], parts[2::2]):
        result.append(Endpoint(heading, re.split(r"^##+ ", body, flags=re.MULTILINE)[0]))
    return result


def sockets():
    """{path: list of example messages} of every `### ws://host/...`."""
    parts = re.split(r"^### ws://host(/ws/\w+)$", TEXT, flags=re.MULTILINE)
    result = {}
    for path, body in zip(parts[1::2], parts[2::2]):
        body = re.split(r"^### ", body, flags=re.MULTILINE)[0]
        result[path] = [_parse(text) for text in re.findall(r"```json\n(.*?)```", body, flags=re.DOTALL)]
    return result


def _kind(value):
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int"
    return {float: "number", str: "str", list: "list", dict: "dict"}[type(value)]


def differences(example, value, nullable=(), where=""):
    """What `value` lacks of the shape of `example`, a text each; more fields are allowed.

    `nullable`: names of fields that may be null. The example's list stands for all items.
    """
    wanted, got = _kind(example), _kind(value)
    if got == "null" and where.rsplit(".", 1)[-1].rstrip("[]") in nullable:
        return []
    if wanted == "number" and got == "int":
        return []
    if wanted != got:
        return [f"{where or 'the answer'}: {got} instead of {wanted}"]
    found = []
    if wanted == "dict":
        for key, item in example.items():
            if key not in value:
                found.append(f"{where}.{key} is missing")
            else:
                found += differences(item, value[key], nullable, f"{where}.{key}")
    elif wanted == "list" and example:
        for item in value:
            found += differences(example[0], item, nullable, where + "[]")
    return found
