// What the gateway has told last. Every view and the header read it here; it is old when `stale()` says so.
import { linkState, listen, onLink } from "./socket.js";

const STALE_MS = 5000; // as the gateway counts: no good poll for so long
const NEVER_MS = 86400000; // where the gateway's ages end
const TREND_MAX = 900;

export const live = {
  battery: null, // the last battery_data
  known: null, // the last battery_data that had values: what greyed figures show
  state: null, // the last state message
  alerts: [], // active alerts, newest first
  trend: [], // {t: ms of the page's clock, mv, ma, cells: [mv]}, one each second, the last TREND_MAX
  link: linkState,
  /** Age in ms of the values in `known`; Infinity when there are none. */
  age: () => (heard === null || !live.known ? Infinity : ageThen + performance.now() - heard),
  stale: () => !(live.age() < STALE_MS) || linkState() !== "live",
  never: () => !live.known,
};

let heard = null;
let ageThen = Infinity;
const watchers = new Set();
const changed = () => watchers.forEach((watch) => watch());

/** Call `watch()` when the alerts, the state or the link have changed, and each second. */
export function onLive(watch) {
  watchers.add(watch);
  return () => watchers.delete(watch);
}

function battery(message) {
  live.battery = message;
  heard = performance.now();
  ageThen = message.age_ms >= NEVER_MS ? Infinity : message.age_ms;
  if (message.status !== "DISCONNECTED") {
    live.known = message;
    const cells = message.cells.map((cell) => cell.voltage_mv);
    live.trend.push({ t: heard, mv: message.voltage_mv, ma: message.current_ma, cells });
    if (live.trend.length > TREND_MAX) live.trend.splice(0, live.trend.length - TREND_MAX);
  }
  changed();
}

const ACTIVE = 2; // status 2: over

function alert({ alert }) {
  live.alerts = live.alerts.filter((other) => other.alert_id !== alert.alert_id);
  if (alert.status < ACTIVE) live.alerts.unshift(alert);
  changed();
}

export function startLive() {
  listen("battery_data", battery);
  listen("state", (message) => {
    live.state = message;
    changed();
  });
  listen("alerts", (message) => {
    live.alerts = message.alerts;
    changed();
  });
  listen("alert", alert);
  onLink(changed);
  setInterval(changed, 1000);
}
