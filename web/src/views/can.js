// CAN bus: its state, and the frames as they come. What `ctx` has is told in app.js.
import { framesView } from "./frames.js";
import { texts as own } from "./can_texts.js";
import { withShared } from "./frames_texts.js";

export const texts = withShared(own);

const UNITS = { v: "V", a: "A", percent: "%", c: "°C", mv: "mV", k: "K", kwh: "kWh", ah: "Ah" };
const TONES = { RUNNING: "good", BUS_OFF: "bad", STOPPED: "bad", NO_ACK: "warn" };

export function mount(root, ctx) {
  root.append(busCard(ctx), ...framesView(ctx, kind(ctx)).elements);
}

/** State of the bus: asked once, so that an error is told, then as the socket says. */
function busCard(ctx) {
  const { h, t } = ctx;
  const badge = h("span", { class: "badge" }, "…");
  const rows = ["gx", "speed", "sent", "received", "errors", "dropped", "busoffs", "trouble"].map((key) => [key, h("dd", null, "–")]);
  const value = Object.fromEntries(rows);
  const notice = h("p", { class: "notice", hidden: true, role: "alert", dataset: { tone: "bad" } });
  let refused = false; // the last reading failed, and `notice` says how

  function show(bus) {
    if (!bus) return;
    ctx.text(badge, bus.state);
    badge.dataset.tone = TONES[bus.state] || "warn";
    const gx = bus.gx_present ? "gx.here" : bus.gx_seen ? "gx.lost" : "gx.never";
    const said = {
      gx: t(gx, { age: ctx.duration(bus.gx_age_ms) }),
      speed: ctx.number(bus.speed / 1000, 0, "kbit/s"),
      sent: ctx.number(bus.messages_sent),
      received: ctx.number(bus.messages_received),
      errors: ctx.number(bus.errors),
      dropped: ctx.number(bus.dropped),
      busoffs: ctx.number(bus.bus_offs),
      trouble: ctx.said(bus.last_error) || t("none"),
    };
    for (const key in said) ctx.text(value[key], said[key]);
    if (refused) return; // stays until it is asked again: the socket says nothing of why
    notice.hidden = bus.enabled;
    notice.dataset.tone = "warn";
    if (!bus.enabled) ctx.text(notice, t("off"));
  }

  async function read() {
    try {
      const bus = await ctx.api.get("/api/can/status");
      refused = false;
      show(bus);
    } catch (error) {
      if (ctx.signal.aborted) return;
      refused = true;
      notice.hidden = false;
      notice.dataset.tone = "bad";
      notice.replaceChildren(ctx.errorText(error) + " ", h("button", { type: "button", onclick: () => ((notice.hidden = true), read()) }, t("again")));
    }
  }
  read();
  ctx.on("state", (message) => show(message.can));
  const list = rows.map(([key, cell]) => h("div", null, h("dt", null, t(key)), cell));
  return h("section", { class: "card" }, h("header", null, h("h2", null, t("bus")), badge), notice, h("dl", { class: "figures" }, list));
}

/** What frames.js must know of CAN. */
function kind(ctx) {
  const { t } = ctx;
  const fields = (decoded) =>
    Object.entries(decoded)
      .map(([name, value]) => field(ctx, name, value))
      .sort((one, other) => one[2] - other[2]);
  return {
    type: "can_frame",
    idLabel: t("identifier"),
    idHint: t("id.hint"),
    read(message) {
      const key = message.can_id.slice(2);
      const name = t("id." + key);
      const decoded = fields(message.decoded);
      return {
        key,
        id: message.can_id,
        name: name === "id." + key ? "" : name,
        bytes: message.data.map(hex).join(" "),
        meaning: decoded.map(([label, value]) => (label ? `${label} ${value}` : value)).join(" · "),
        details: [[t("dlc"), String(message.dlc)], ...decoded.map(([label, value]) => [label || t("name"), value])],
      };
    },
    file: (frames) => ({ name: "can-*.log", content: frames.map(candump).join("") }),
  };
}

const hex = (byte) => byte.toString(16).toUpperCase().padStart(2, "0");

/** A line as candump -L writes it: python-can, can-utils and SavvyCAN read that. */
const candump = ({ stamp, key, bytes, direction }) =>
  `(${(stamp / 1000).toFixed(6)}) can0 ${key}#${bytes.replaceAll(" ", "")} ${direction[0]}\n`;

const ORDER = Object.keys(own.en); // the gateway sends fields in any order

/** [label, text, place] of one decoded field: cvl_v 55.2 is "CVL", "55,2 V". */
function field(ctx, name, value) {
  const at = name.lastIndexOf("_");
  const unit = UNITS[name.slice(at + 1)];
  const plain = unit ? name.slice(0, at) : name;
  const label = ORDER.includes(plain) ? ctx.t(plain) : ""; // a text alone is what the identifier is for
  return [label, words(ctx, value, unit || ""), ORDER.indexOf(plain)];
}

function words(ctx, value, unit) {
  const { t } = ctx;
  if (typeof value === "boolean") return t(value ? "yes" : "no");
  if (Array.isArray(value)) return value.length ? value.map((one) => (t("item." + one) === "item." + one ? one.replaceAll("_", " ") : t("item." + one))).join(", ") : t("none");
  if (typeof value !== "number") return value ? `“${value}”` : "“”";
  const digits = Number.isInteger(value) ? 0 : Math.abs(value * 10 - Math.round(value * 10)) < 1e-4 ? 1 : 2;
  return ctx.number(value, digits, unit);
}
