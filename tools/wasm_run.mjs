// The webassembly port of MicroPython (32-bit) under Node: started by tools/wasm.py.
//
//     node wasm_run.mjs JOB.json
//
// JOB: {"port": path of micropython.mjs, "heap": bytes, "files": [[path here, path there], ...], "steps": [Python text, ...]}.
// Each step runs by itself, since this port collects garbage only between two of them; a line "\x1e" follows each one's output.
// A step that raises ends the run: traceback on standard error, exit code 1.

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const BOARD_MEMORY = 0x3ffb0000;
const job = JSON.parse(readFileSync(process.argv[2], "utf8"));
// The heap lies where an ESP32 has its memory (0x3FFBxxxx). The collector takes any word that could be an address for one: at this
// port's own addresses, half a million, every voltage in mV could, and keep by chance what nobody needs.
let module;
Object.defineProperty(globalThis, "Module", {
  get: () => module,
  set: (value) => {
    module = value;
    const low = module._malloc(16);
    if (!module._malloc(BOARD_MEMORY - low)) throw new Error("no memory at a board's addresses");
  },
});
const { loadMicroPython } = await import(pathToFileURL(job.port).href);
const python = await loadMicroPython({
  heapsize: job.heap,
  stdout: (line) => process.stdout.write(line + "\n"),
  stderr: (line) => process.stderr.write(line + "\n"),
});
for (const [here, there] of job.files) {
  python.FS.mkdirTree(there.slice(0, there.lastIndexOf("/")) || "/");
  python.FS.writeFile(there, readFileSync(here));
}
try {
  for (const step of job.steps) {
    await python.runPythonAsync(step);
    process.stdout.write("\x1e\n");
  }
} catch (error) {
  process.stderr.write(`${error.message ?? error}\n`);
  process.exitCode = 1;
}
process.exit(); // timers of asyncio may still be waiting
