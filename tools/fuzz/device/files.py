"""Files and what is kept."""

import asyncio

from tools.fuzz.device.common import Request


def bundle():
    from io import BytesIO
    from firmware.system import bundle

    def run(case):
        try:
            for _ in bundle.check(BytesIO(case), "x64", (1, 28, 0), 400_000):
                pass
        except bundle.BundleError as error:
            assert error.args[0] and error.code, error
            return error.code
        return "good"

    return run


def _checked(config):
    """Every value that is no default must be one that may be set, whatever was read."""
    from firmware.config import rules, schema

    for key, value in config.stored.items():
        why = rules.check_value(schema.find(key), value)
        assert not why, (key, value, why)


def stored():
    """The first byte says nothing; the rest is config.json."""
    import os
    import sys
    from firmware.config.config import Config

    path = sys.argv[2]

    def run(case):
        for name in ("/config.bad", "/config.json"):
            try:
                os.remove(path + name)
            except OSError:
                pass
        with open(path + "/config.json", "wb") as file:
            file.write(case[1:])
        config = Config(path, b"\x02\0\0\1\2\3")
        config.load()
        _checked(config)
        return [config.stored, config.problem]

    return run


def body():
    """First byte: POST /api/config, restore, or a group. The rest is the body."""
    import json
    import sys
    from firmware.config.config import Config, ConfigError
    from firmware.http.api import ApiError
    from firmware.http.body import read_json

    config = Config(sys.argv[2], b"\x02\0\0\1\2\3")
    config.load()

    def change(kind, obj):
        if kind == 1:
            return config.restore(obj)
        if kind in (2, 3):
            return config.update_group(("mqtt", "alerts")[kind - 2], obj)
        return config.update(obj)

    def run(case):
        request = Request(case[1:], {})
        before = config.stored = {"charge.rebulk_soc": 77}
        try:
            obj = asyncio.run(read_json(request, 8192))
            change(case[0] % 4, obj)
        except ApiError as error:
            assert config.stored is before, config.stored
            return error.args and str(error.args[0])
        except ConfigError as error:
            assert config.stored is before and error.details, config.stored
            return "refused"
        _checked(config)
        json.dumps(config.stored)
        return "taken"

    return run
