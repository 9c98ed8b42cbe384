// Overview: the cells in short, connections, alerts.
import { card } from "./overview_common.js";

export function cells(ctx) {
  const { h, t, text, number } = ctx;
  const list = h("div", { class: "strip", "aria-hidden": "true" });
  const words = h("p", { class: "num" });
  const element = card(ctx, "cellstrip", h("a", { href: "#/cells", class: "fresh", "aria-label": t("cells.open") }, list), words);

  function battery(known) {
    const all = known?.cells || [];
    while (list.children.length > all.length) list.lastChild.remove();
    while (list.children.length < all.length) list.append(h("i", null, h("i")));
    const values = all.map((cell) => cell.voltage_mv).filter((mv) => mv !== null);
    if (!values.length) return text(words, t("cells.none"));
    const low = Math.min(...values);
    const high = Math.max(...values);
    const width = Math.max(60, (high - low) * 1.6);
    const from = (low + high) / 2 - width / 2;
    all.forEach((cell, i) => {
      const bar = list.children[i].firstChild;
      bar.style.setProperty("transform", `scaleY(${cell.voltage_mv === null ? 0 : Math.max(0.04, Math.min(1, (cell.voltage_mv - from) / width)).toFixed(3)})`);
      bar.className = cell.balancing ? "balancing" : "";
    });
    const at = (mv) => all.findIndex((cell) => cell.voltage_mv === mv) + 1;
    text(words, t("cells.words", { low: number(low / 1000, 3), at: at(low), high: number(high / 1000, 3, "V"), where: at(high), count: all.filter((cell) => cell.balancing).length }));
  }
  return { element, battery };
}

// -- connections ----------------------------------------------------------------------------------------------------------

export function links(ctx) {
  const { h, t, text, number, duration } = ctx;
  const rows = {};
  const row = (name, href) => {
    rows[name] = { badge: h("span", { class: "badge" }), more: h("small", { class: "quiet" }) };
    return h("li", null, h("a", { href }, t("link." + name)), rows[name].more, rows[name].badge);
  };
  const element = card(
    ctx,
    "links",
    h("ul", null, row("bms", "#/uart"), row("can", "#/can"), row("gx", "#/can"), row("mqtt", "#/mqtt"), row("wifi", "#/settings"), row("gateway", "#/system")),
  );
  const show = (name, tone, key, more = "") => {
    text(rows[name].badge, t(key));
    rows[name].badge.dataset.tone = tone;
    text(rows[name].more, more);
  };
  function state({ bms, can, mqtt, wifi, version, uptime_ms, timestamp_ms }) {
    show("bms", bms.connected ? "good" : "bad", bms.connected ? "is.connected" : "is.silent", bms.reason === "no answer" ? "" : ctx.said(bms.reason));
    if (!can?.enabled) show("can", "", "is.off");
    else show("can", { RUNNING: "good", NO_ACK: "warn", STARTING: "warn" }[can.state] || "bad", "can." + can.state, number(can.speed / 1000, 0, "kbit/s"));
    if (can?.gx_present) show("gx", "good", "is.connected", can.speaking ? t("is.steered") : t("is.unsteered"));
    else show("gx", can?.gx_seen ? "bad" : "warn", can?.gx_seen ? "is.lost" : "is.never", can?.gx_seen ? duration(can.gx_age_ms) : "");
    if (!mqtt.broker) show("mqtt", "", "is.off");
    else show("mqtt", mqtt.connected ? "good" : "warn", mqtt.connected ? "is.connected" : "is.disconnected", mqtt.broker.replace(/^\w+:\/\//, ""));
    if (wifi.mode === "ap") show("wifi", "warn", "is.ap", wifi.ap_ssid);
    else show("wifi", wifi.connected ? "good" : "warn", wifi.connected ? "is.connected" : "is.disconnected", wifi.mode === "host" ? wifi.ip : [wifi.ssid, wifi.ip, wifi.rssi ? wifi.rssi + "\u00a0dBm" : ""].filter(Boolean).join(" · "));
    const timed = timestamp_ms > 1e12; // else it counts from the start
    show("gateway", timed ? "good" : "warn", timed ? "is.running" : "is.noclock", version + " · " + duration(uptime_ms));
  }
  function live() {
    if (ctx.live.link() === "live") return;
    show("gateway", "bad", ctx.live.link() === "wait" ? "is.unknown" : "is.unreachable");
  }
  return { element, state, live };
}

// -- alerts ---------------------------------------------------------------------------------------------------------------

export function alerts(ctx) {
  const { h, t, time } = ctx;
  const list = h("ul");
  const element = card(ctx, "alertlist", list);
  let shown = null;

  function live() {
    const all = ctx.live.alerts;
    const unwatched = ctx.live.state?.safe_mode || ctx.live.state?.update_mode;
    const key = JSON.stringify([all, !unwatched]);
    if (key === shown) return;
    shown = key;
    const line = (alert) =>
      h(
        "li",
        { dataset: { tone: ["info", "warn", "bad"][alert.severity] } },
        h("span", { class: "badge", dataset: { tone: ["info", "warn", "bad"][alert.severity] } }, t("severity." + alert.severity)),
        h("span", { class: "message" }, alert.message),
        h("small", { class: "quiet num" }, alert.status === 1 ? t("acknowledged") : "", " ", time(alert.timestamp_ms)),
      );
    const more = all.length > 6 ? h("li", null, h("a", { href: "#/alerts" }, t("alerts.all", { n: all.length }))) : null;
    list.replaceChildren(...(all.length ? [...all.slice(0, 6).map(line), more].filter(Boolean) : [h("li", { class: "quiet" }, t(unwatched ? "alerts.unwatched" : "alerts.none"))]));
    element.classList.toggle("some", all.length > 0);
  }
  return { element, live };
}
