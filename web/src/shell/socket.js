// The page's one WebSocket, /ws/page. It carries the streams that somebody listens to, is closed while the page is hidden, and
// connects again by itself. Alerts come in the language of the page. `link` is "wait", "live", "lost", "full" (too many pages on
// this gateway) or "paused".
import { language } from "./i18n.js";

const RETRY_MS = [300, 1000, 2000, 4000, 8000];
const SILENT_MS = 6000; // telemetry comes each second: no message for so long means that the network is gone
const PING_MS = 15000;
const STREAM = {
  battery_data: "telemetry",
  state: "state",
  system_event: "events",
  alert: "alerts",
  alerts: "alerts",
  uart_frame: "uart",
  can_frame: "can",
};

const listeners = new Map(); // type: set of functions
const watchers = new Set(); // of the link
let socket = null;
let tries = 0;
let retry;
let silence;
let pinging;
let dropped = 0;
let subscribed = "";
let link = "wait";

function setLink(value) {
  if (value === link) return;
  link = value;
  watchers.forEach((watch) => watch(link));
}

export const linkState = () => link;
export const onLink = (watch) => watchers.add(watch);

function send(message) {
  if (socket?.readyState === WebSocket.OPEN) socket.send(message);
}

/** Tell the gateway what is listened to, and in which language, when it does not know that yet, or `again`. */
export function subscribe(again = false) {
  const streams = [...new Set([...listeners.keys()].map((type) => STREAM[type]).filter(Boolean))].sort();
  const wish = JSON.stringify({ type: "subscribe", streams, lang: language() });
  if (!again && wish === subscribed) return;
  subscribed = wish;
  send(wish);
}

/** Call `listener(message)` for each message of that type. Gives the function that ends this. */
export function listen(type, listener) {
  if (!listeners.has(type)) listeners.set(type, new Set());
  listeners.get(type).add(listener);
  queueMicrotask(() => subscribe());
  return () => {
    listeners.get(type)?.delete(listener);
    if (!listeners.get(type)?.size) listeners.delete(type);
    queueMicrotask(() => subscribe());
  };
}

function alive() {
  clearTimeout(silence);
  silence = setTimeout(() => drop("lost"), SILENT_MS);
}

function receive(event) {
  alive();
  const message = JSON.parse(event.data);
  tries = 0;
  setLink("live");
  if (message.type === "pong" && message.dropped > dropped) {
    dropped = message.dropped; // the page was too slow for a moment: what is active comes again
    subscribe(true);
  }
  for (const listener of [...(listeners.get(message.type) || [])]) {
    try {
      listener(message);
    } catch (error) {
      console.error(error); // one view must not stop the others
    }
  }
}

function drop(why) {
  clearTimeout(retry);
  clearTimeout(silence);
  clearInterval(pinging);
  if (socket) {
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
    socket = null;
  }
  setLink(why);
  if (why === "paused") return;
  const wait = RETRY_MS[Math.min(tries++, RETRY_MS.length - 1)];
  retry = setTimeout(connect, wait * (0.8 + Math.random() * 0.4));
}

/** Why was the socket refused? A gateway that answers has no place for one more. What is asked for is not there: that loads nothing. */
async function closed(opened) {
  drop(opened ? "lost" : link === "full" ? "full" : "lost");
  if (opened || tries < 2) return;
  try {
    await fetch("/api/none", { method: "HEAD", cache: "no-store" });
    if (!socket || socket.readyState !== WebSocket.OPEN) setLink("full");
  } catch {
    if (link !== "live" && link !== "paused") setLink("lost");
  }
}

function connect() {
  clearTimeout(retry);
  if (socket || document.hidden) return;
  let opened = false;
  socket = new WebSocket(location.origin.replace(/^http/, "ws") + "/ws/page");
  silence = setTimeout(() => drop("lost"), SILENT_MS);
  socket.onopen = () => {
    opened = true;
    dropped = 0;
    subscribe(true);
    pinging = setInterval(() => send('{"type":"ping"}'), PING_MS);
  };
  socket.onmessage = receive;
  socket.onclose = () => closed(opened);
}

export function startSocket() {
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) drop("paused");
    else {
      tries = 0;
      setLink("wait");
      connect();
    }
  });
  addEventListener("online", () => {
    tries = 0;
    connect();
  });
  addEventListener("pagehide", () => drop("paused"));
  addEventListener("pageshow", (event) => event.persisted && connect());
  if (document.hidden) setLink("paused");
  else connect();
}

/** Try at once. */
export function reconnect() {
  tries = 0;
  if (link !== "live" && link !== "paused") {
    drop("wait");
    connect();
  }
}
