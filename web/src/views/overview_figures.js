// Overview: figures, the limits, and how near the pack is to them.
import { card, milli, power, signed, watts } from "./overview_common.js";

const PROTECTIONS = ["ov", "uv", "oc_charge", "oc_discharge", "temp_high", "temp_low"];

export function figures(ctx) {
  const { h, t, text, number } = ctx;
  const values = {};
  const figure = (name) => h("div", null, h("dt", null, t(name)), (values[name] = h("dd", null, number(null))));
  const names = ["voltage", "current", "power", "soh", "temp1", "temp2", "tempint", "spread"];
  const flags = h("p", { class: "flags", role: "alert" });
  const element = card(ctx, "now", h("dl", { class: "figures fresh" }, names.map(figure)), flags);

  function battery(known, now) {
    const value = watts(known);
    text(values.voltage, number(milli(known?.voltage_mv), 2, "V"));
    text(values.current, signed(ctx, milli(known?.current_ma), 1, "A"));
    text(values.power, value === null ? number(null) : (value > 0 ? "+" : "") + power(ctx, value));
    text(values.soh, number(known?.soh_percent, 0, "%"));
    const known_cells = (known?.cells || []).map((cell) => cell.voltage_mv).filter((mv) => mv !== null);
    text(values.spread, known_cells.length ? number(Math.max(...known_cells) - Math.min(...known_cells), 0, "mV") : number(null));
    const active = PROTECTIONS.filter((name) => now?.protection?.[name]);
    if (flags.dataset.active !== String(active)) {
      flags.dataset.active = active;
      flags.replaceChildren(...active.map((name) => h("span", { class: "badge", dataset: { tone: "bad" } }, t("protection." + name))));
    }
  }
  function state({ battery, bms }) {
    if (!bms.connected) return; // the last ones stay, grey as the others
    text(values.temp1, number(battery.temperature_external1_c, 1, "°C"));
    text(values.temp2, number(battery.temperature_external2_c, 1, "°C"));
    text(values.tempint, number(battery.temperature_internal_c, 1, "°C"));
  }
  return { element, battery, state };
}

// -- limits, and how near the pack is to them -----------------------------------------------------------------------------

export function limits(ctx) {
  const { h, t, text, number } = ctx;
  const rows = {};
  const row = (name, digits, unit) => {
    const bar = h("i");
    const parts = { bar, value: h("b", { class: "num" }), used: h("span", { class: "num" }), why: h("p", { class: "why" }), digits, unit };
    rows[name] = parts;
    return h(
      "li",
      null,
      h("p", { class: "head" }, h("abbr", { title: t(name + ".long") }, name.toUpperCase()), " ", h("small", null, t(name + ".long")), parts.value),
      h("div", { class: "bar", "aria-hidden": "true" }, bar),
      h("p", { class: "under" }, parts.used),
      parts.why,
    );
  };
  const badge = h("span", { class: "badge" });
  const element = card(ctx, "limits", h("ul", { class: "fresh" }, row("cvl", 1, "V"), row("ccl", 1, "A"), row("dcl", 1, "A")));
  const heading = element.querySelector("h2");
  element.prepend(h("header", null, heading, badge));

  function show(name, limit, used, share, words) {
    const { bar, value, used: under, digits, unit } = rows[name];
    text(value, number(milli(limit), digits, unit));
    bar.style.setProperty("transform", `scaleX(${Math.max(0, Math.min(1, share || 0)).toFixed(3)})`);
    bar.dataset.tone = share > 1.005 ? "bad" : share > 0.95 ? "warn" : "";
    text(under, used === null ? "\u00a0" : words);
  }
  function battery(known, now) {
    if (!now) return;
    const { cvl_mv: cvl, ccl_ma: ccl, dcl_ma: dcl } = now;
    const volts = milli(known?.voltage_mv);
    const amps = milli(known?.current_ma);
    const empty = ((ctx.live.state?.battery.cell_empty_mv || 0) * (known?.cells.length || 0)) / 1000;
    show("cvl", cvl, volts, empty && cvl ? (volts - empty) / (cvl / 1000 - empty) : 0, t("cvl.used", { value: number(volts, 2, "V") }));
    const charging = Math.max(0, amps ?? 0);
    const discharging = Math.max(0, -(amps ?? 0));
    const share = (limit, used) => (limit ? used / (limit / 1000) : limit === 0 && used > 0.2 ? 2 : 0); // null: nothing is sent
    show("ccl", ccl, amps, share(ccl, charging), t("ccl.used", { value: number(charging, 1, "A") }));
    show("dcl", dcl, amps, share(dcl, discharging), t("dcl.used", { value: number(discharging, 1, "A") }));
  }
  function state({ limits }) {
    const name = limits?.state || "STOPPED";
    text(badge, t("charge." + name));
    badge.dataset.tone = { STALE: "bad", FAULT: "bad", STOPPED: "bad", STARTING: "warn" }[name] || "good";
    for (const which of ["cvl", "ccl", "dcl"]) {
      const reason = limits?.reasons[which]?.replace(/^\w+ [\d.]+ [VA](: )?/, "");
      text(rows[which].why, reason ? ctx.said(reason) : limits?.reasons[which] ? "\u00a0" : t("nothing.sent"));
    }
  }
  return { element, battery, state };
}
