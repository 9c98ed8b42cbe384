// The views that change things, in one file: each file takes whole blocks of flash, in both slots.
// Named one by one: `export * as` would bring a helper that becomes a file of the first view.
import { mount as mqttMount, texts as mqttTexts } from "./mqtt.js";
import { mount as bmsMount, texts as bmsTexts } from "./bms.js";
import { mount as settingsMount, texts as settingsTexts } from "./settings.js";
import { mount as systemMount, texts as systemTexts } from "./system.js";
import { mount as setupMount, texts as setupTexts } from "./setup.js";

export const mqtt = { mount: mqttMount, texts: mqttTexts };
export const bms = { mount: bmsMount, texts: bmsTexts };
export const settings = { mount: settingsMount, texts: settingsTexts };
export const system = { mount: systemMount, texts: systemTexts };
export const setup = { mount: setupMount, texts: setupTexts };
