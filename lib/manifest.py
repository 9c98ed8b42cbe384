"""For people who build MicroPython themselves: freezes the application and its libraries into the image.

    make -C ports/esp32 BOARD=ESP32_GENERIC FROZEN_MANIFEST=/path/to/lib/manifest.py        (after `make deps` here)

Frozen code leaves the heap of the board to data. What is no Python stays a file: copy `firmware/**/*.txt` and `*.jsonl` to the
same places below `/firmware`, and build/esp32/slot_a/www to `/www`. With the application frozen there are no slots and no update
over the air; the board's own main.py is then `from firmware import app; app.main([])`, without boot.py.
"""

metadata(version="0.1.0", description="TinyBMS-GW: Enepaq TinyBMS to Victron GX", license="MIT")  # noqa: F821

include("$(PORT_DIR)/boards/manifest.py")  # noqa: F821
require("umqtt.simple")  # noqa: F821
require("aioble")  # noqa: F821  for Bluetooth; without it everything else works

package("firmware", base_path="..", opt=3)  # noqa: F821
package("microdot", files=("__init__.py", "microdot.py"), base_path=".", opt=3)  # noqa: F821
