// Language, numbers and times. The language is that of the browser until somebody chooses another one.
import { french } from "./french.js";
import { stored, store } from "./stored.js";

export const NONE = "–";
const NBSP = "\u00a0";
const formats = new Map();
let chosen = stored("language", "");

export const languageChoice = () => chosen;
export const language = () => chosen || ((navigator.language || "").toLowerCase().startsWith("fr") ? "fr" : "en");

export function chooseLanguage(value) {
  chosen = value;
  store("language", value);
}

/** A translator over dictionaries {en: {key: text}, fr: {...}}, the first that knows the key wins. {name} in a text is replaced. */
export function translator(...dictionaries) {
  return (key, values) => {
    for (const dictionary of dictionaries) {
      const found = dictionary?.[language()]?.[key] ?? dictionary?.en?.[key];
      if (found !== undefined) return values ? found.replace(/\{(\w+)\}/g, (all, name) => values[name] ?? all) : found;
    }
    return key;
  };
}

/** A text of the gateway's own, which is English, in the language; "" for none. Logs and names stay as they are. */
export const said = (words) => (words && language() === "fr" ? french(words) : words || "");

function format(kind, options) {
  const name = language() + kind + JSON.stringify(options);
  if (!formats.has(name)) formats.set(name, new Intl[kind](language() === "fr" ? "fr-FR" : "en-GB", options));
  return formats.get(name);
}

/** A number with so many digits and its unit; "–" when it is not known (null is never zero). */
export function number(value, digits = 0, unit = "") {
  if (value === null || value === undefined || Number.isNaN(value)) return NONE;
  const rounded = Number(value.toFixed(digits)) || 0; // never "-0"
  const options = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  const text = format("NumberFormat", options).format(rounded).replace("-", "−");
  return unit ? text + NBSP + unit : text;
}

const UNSET_MS = 1e12; // a time below it is no date but counts from the gateway's start: its clock was not set then

/** "start + 0:03:20" */
function sinceStart(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  const two = (value) => String(value % 60).padStart(2, "0");
  return `${language() === "fr" ? "démarrage" : "start"} + ${Math.floor(s / 3600)}:${two(Math.floor(s / 60))}:${two(s)}`.replace(/ /g, NBSP);
}

/** A time of day, or with the day when that is not today. `ms`: Unix milliseconds, or since the start while the clock is not set. */
export function time(ms) {
  if (ms === null || ms === undefined) return NONE;
  if (ms < UNSET_MS) return sinceStart(ms);
  const date = new Date(ms);
  const options = { hour: "2-digit", minute: "2-digit", second: "2-digit" };
  if (date.toDateString() !== new Date().toDateString()) Object.assign(options, { day: "2-digit", month: "short" });
  if (date.getFullYear() !== new Date().getFullYear()) options.year = "numeric";
  return format("DateTimeFormat", options).format(date);
}

/** Day and time, always in full. */
export const dateTime = (ms) =>
  ms === null || ms === undefined || ms < UNSET_MS ? time(ms) : format("DateTimeFormat", { dateStyle: "medium", timeStyle: "medium" }).format(new Date(ms));

/** How long after `from` `to` was, as duration() says it; "–" when the clock was set in between. */
export const between = (from, to) => duration(from < UNSET_MS === to < UNSET_MS ? to - from : null);

/** "12 s", "5 min", "3 h 20 min", "4 d 2 h". */
export function duration(ms) {
  if (ms === null || ms === undefined || !Number.isFinite(ms)) return NONE;
  const s = Math.max(0, Math.floor(ms / 1000));
  const day = language() === "fr" ? "j" : "d";
  if (s < 120) return s + NBSP + "s";
  if (s < 3600) return Math.floor(s / 60) + NBSP + "min";
  if (s < 86400) return Math.floor(s / 3600) + NBSP + "h" + (s % 3600 >= 60 ? NBSP + Math.floor((s % 3600) / 60) + NBSP + "min" : "");
  return Math.floor(s / 86400) + NBSP + day + NBSP + Math.floor((s % 86400) / 3600) + NBSP + "h";
}

export function bytes(value) {
  if (value === null || value === undefined) return NONE;
  const [b, k, m] = language() === "fr" ? ["o", "Ko", "Mo"] : ["B", "KB", "MB"];
  return value < 1024 ? number(value, 0, b) : value < 1048576 ? number(value / 1024, 1, k) : number(value / 1048576, 1, m);
}
