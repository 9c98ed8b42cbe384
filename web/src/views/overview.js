// Overview: the page that hangs on the wall. What `ctx` has is told in app.js.
import { texts } from "./overview_texts.js";
import { french } from "./reasons.js";
export { texts };

const ARC = 270; // length of the ring that is used (a circle of radius 54, open at the bottom)
const AVERAGE = 60; // seconds of current for the time left
const IDLE_MA = 500; // below this "time left" means nothing
const TREND_MS = 600000;
const HALF_MINUTE = 30000; // a sample of the archive is the mean of the minute that begins at its time
const UNWRITTEN_MS = 240000; // the archive lacks the last minutes: the line goes straight there
const PROTECTIONS = ["ov", "uv", "oc_charge", "oc_discharge", "temp_high", "temp_low"];

export function mount(root, ctx) {
  const parts = [soc(ctx), flow(ctx), figures(ctx), limits(ctx), trend(ctx), cells(ctx), links(ctx), alerts(ctx)];
  root.append(...parts.map((part) => part.element));
  const battery = () => parts.forEach((part) => part.battery?.(ctx.live.known, ctx.live.battery));
  ctx.on("battery_data", battery);
  ctx.on("state", (state) => parts.forEach((part) => part.state?.(state)));
  ctx.onLive(() => parts.forEach((part) => part.live?.()));
  battery();
}

const card = (ctx, name, ...children) =>
  ctx.h("section", { class: "card " + name, "aria-labelledby": "h-" + name }, ctx.h("h2", { id: "h-" + name }, ctx.t(name)), ...children);

const signed = (ctx, value, digits, unit) => (value > 0 ? "+" : "") + ctx.number(value, digits, unit);
const milli = (value) => (value === null || value === undefined ? null : value / 1000);
const watts = (known) => (known?.voltage_mv == null || known.current_ma == null ? null : (known.voltage_mv / 1000) * (known.current_ma / 1000));

/** Power in W or kW, as one reads it. */
const power = (ctx, value) =>
  value === null ? ctx.number(null) : Math.abs(value) >= 1000 ? ctx.number(value / 1000, 2, "kW") : ctx.number(value, 0, "W");

// -- state of charge ---------------------------------------------------------------------------------------------------

function soc(ctx) {
  const { h, svg, t, text, number } = ctx;
  const arc = svg("circle", { class: "arc", cx: 60, cy: 60, r: 54, "stroke-dasharray": `0 400` });
  const value = h("b", { class: "value" });
  const status = h("span", { class: "badge" });
  const left = h("p", { class: "left num" });
  const element = card(
    ctx,
    "soc",
    h(
      "div",
      { class: "ring fresh" },
      svg(
        "svg",
        { viewBox: "0 0 120 120", "aria-hidden": "true" },
        svg("circle", { class: "track", cx: 60, cy: 60, r: 54, "stroke-dasharray": `${ARC} 400` }),
        arc,
      ),
      h("p", { class: "num" }, value, h("small", null, "%")),
    ),
    h("p", { class: "status" }, status),
    left,
  );
  element.querySelector("h2").className = "visually-hidden";

  function battery(known, now) {
    const percent = known?.soc_percent ?? null;
    text(value, number(percent));
    arc.setAttribute("stroke-dasharray", `${((percent ?? 0) / 100) * ARC} 400`);
    arc.classList.toggle("low", percent !== null && percent <= 10);
    const name = now?.status ?? "DISCONNECTED";
    text(status, t("status." + name));
    status.dataset.tone = { FAULT: "bad", DISCONNECTED: "bad", CHARGING: "good", REGENERATION: "good", DISCHARGING: "info" }[name] || "";
    text(left, ctx.live.stale() ? "\u00a0" : remaining(ctx));
  }
  return { element, battery, live: () => text(left, ctx.live.stale() ? "\u00a0" : remaining(ctx)) };
}

/** "about 2 h 10 min to full": from the mean current of the last minute and the capacity; empty when that says nothing. */
function remaining(ctx) {
  const { live, t, duration } = ctx;
  const since = performance.now() - AVERAGE * 1000; // the page may have been hidden in between
  const last = live.trend.filter((sample) => sample.t > since && sample.ma !== null);
  const capacity = live.state?.battery.capacity_mah;
  const known = live.known;
  if (!capacity || last.length < 5 || known?.soc_percent == null) return "\u00a0";
  const mean = last.reduce((sum, sample) => sum + sample.ma, 0) / last.length;
  if (Math.abs(mean) < IDLE_MA) return "\u00a0";
  const fine = live.state.battery.soc_hundredths;
  const percent = fine !== null && Math.abs(fine / 100 - known.soc_percent) < 1.5 ? fine / 100 : known.soc_percent;
  const hours = (capacity * (mean > 0 ? 100 - percent : percent)) / 100 / Math.abs(mean);
  if (hours > 96) return t(mean > 0 ? "full.long" : "empty.long");
  const minutes = Math.round((hours * 60) / (hours > 1 ? 5 : 1)) * (hours > 1 ? 5 : 1);
  return t(mean > 0 ? "full.in" : "empty.in", { time: duration(Math.max(minutes, 2) * 60000) });
}

// -- where the power goes ------------------------------------------------------------------------------------------------

function flow(ctx) {
  const { h, svg, t, text, attr, number } = ctx;
  const word = (x, y, words, name) => svg("text", { x, y, class: name, "text-anchor": "middle" }, words);
  const box = (x, y, width, height, name, ...inside) =>
    svg("g", { class: "box " + name }, svg("rect", { x, y, width, height, rx: 10 }), ...inside);
  const level = svg("rect", { class: "level", x: 28, y: 64, width: 64, height: 112, rx: 6 });
  const line = (name, d) => [svg("path", { class: "pipe " + name, d }), svg("path", { class: "moving " + name, d })];
  const amount = word(196, 92, "", "big");
  const amps = word(196, 152, "", "small");
  const gx = word(196, 252, "", "small");
  const control = svg("path", { class: "control", d: "M60 180 V237 H130" });
  const drawing = svg(
    "svg",
    { viewBox: "0 0 420 276", role: "img" },
    line("out", "M96 115 H262 V62 H290"),
    line("in", "M290 178 H262 V115 H96"),
    control,
    box(24, 60, 72, 120, "battery", svg("rect", { x: 46, y: 50, width: 28, height: 11, rx: 3 }), level),
    word(60, 38, t("battery"), "name"),
    amount,
    amps,
    box(290, 34, 122, 56, "loads", word(351, 67, t("loads"), "name")),
    box(290, 150, 122, 56, "chargers", word(351, 183, t("chargers"), "name")),
    box(130, 210, 132, 54, "gx", word(196, 233, "Victron GX", "name"), gx),
  );
  const said = h("p", { class: "visually-hidden" });
  const element = card(ctx, "flow", h("div", { class: "fresh" }, drawing), said);

  function battery(known) {
    const value = watts(known);
    const direction = value === null ? "unknown" : Math.abs(known.current_ma) < 100 ? "none" : value > 0 ? "in" : "out";
    drawing.dataset.flow = direction;
    drawing.dataset.pace = Math.abs(value) > 3000 ? 4 : Math.abs(value) > 1000 ? 3 : Math.abs(value) > 200 ? 2 : 1;
    text(amount, value === null ? number(null) : power(ctx, Math.abs(value)));
    text(amps, t("flow." + direction));
    const height = (112 * (known?.soc_percent ?? 0)) / 100;
    attr(level, "height", height.toFixed(1));
    attr(level, "y", (176 - height).toFixed(1));
    const words = t("flow.said", { what: t("flow." + direction), power: power(ctx, value === null ? null : Math.abs(value)) });
    attr(drawing, "aria-label", words);
  }
  function state(message) {
    const can = message.can;
    const present = can?.gx_present;
    control.dataset.on = present && can.speaking ? "1" : "";
    text(gx, t(!can?.enabled ? "gx.off" : present ? (can.speaking ? "gx.steered" : "gx.silent") : can.gx_seen ? "gx.lost" : "gx.never"));
  }
  return { element, battery, state };
}

// -- figures -------------------------------------------------------------------------------------------------------------

function figures(ctx) {
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
  function state({ battery }) {
    text(values.temp1, number(battery.temperature_external1_c, 1, "°C"));
    text(values.temp2, number(battery.temperature_external2_c, 1, "°C"));
    text(values.tempint, number(battery.temperature_internal_c, 1, "°C"));
  }
  return { element, battery, state };
}

// -- limits, and how near the pack is to them ----------------------------------------------------------------------------

function limits(ctx) {
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
    show("ccl", ccl, amps, ccl ? charging / (ccl / 1000) : charging > 0.2 ? 2 : 0, t("ccl.used", { value: number(charging, 1, "A") }));
    show("dcl", dcl, amps, dcl ? discharging / (dcl / 1000) : discharging > 0.2 ? 2 : 0, t("dcl.used", { value: number(discharging, 1, "A") }));
  }
  function state({ limits }) {
    const name = limits?.state || "STOPPED";
    text(badge, t("charge." + name));
    badge.dataset.tone = { STALE: "bad", FAULT: "bad", STOPPED: "bad", STARTING: "warn" }[name] || "good";
    for (const which of ["cvl", "ccl", "dcl"]) {
      const reason = limits?.reasons[which]?.replace(/^\w+ [\d.]+ [VA](: )?/, "");
      text(rows[which].why, reason ? (ctx.lang === "fr" ? french(reason) : reason) : limits?.reasons[which] ? "\u00a0" : t("nothing.sent"));
    }
  }
  return { element, battery, state };
}

// -- power of the last ten minutes -----------------------------------------------------------------------------------------

function trend(ctx) {
  const { h, svg, t, text } = ctx;
  const line = svg("path", { class: "line" });
  const area = svg("path", { class: "area" });
  const zero = svg("path", { class: "zero", d: "M0 60H600" });
  const high = h("span", { class: "num" });
  const low = h("span", { class: "num" });
  const drawing = svg("svg", { viewBox: "0 0 600 120", preserveAspectRatio: "none", "aria-hidden": "true" }, area, zero, line);
  const element = card(
    ctx,
    "trend",
    h("div", { class: "plot fresh" }, drawing, high, low),
    h("p", { class: "under" }, h("span", null, t("trend.from")), h("span", null, t("trend.to"))),
  );

  let before = []; // [ms, W] of the minutes before the page was opened
  ctx.on("state", once(fetchBefore));

  async function fetchBefore({ timestamp_ms, history }) {
    const first = ctx.live.trend[0]?.t ?? performance.now();
    if (!history || performance.now() - first > TREND_MS) return;
    const answer = await ctx.attempt(() => ctx.api.get("/api/history?resolution=1m&limit=10"), { quiet: true });
    const age = (sample) => timestamp_ms - sample.timestamp;
    const samples = (answer?.samples || []).filter((sample) => sample.pack_voltage != null && sample.pack_current != null);
    before = samples
      .map((sample) => [performance.now() - age(sample) + HALF_MINUTE, sample.pack_voltage * sample.pack_current])
      .filter(([ms]) => ms < first && ms > first - TREND_MS);
    battery();
  }

  function battery() {
    const now = performance.now();
    const samples = ctx.live.trend.filter((sample) => now - sample.t < TREND_MS && sample.mv !== null && sample.ma !== null);
    const fresh = thin(samples.map((sample) => [sample.t, (sample.mv * sample.ma) / 1e6]), 300);
    const points = [...before.filter(([ms]) => now - ms < TREND_MS), ...fresh];
    if (!points.length) return;
    const top = Math.max(0, ...points.map((point) => point[1]));
    const bottom = Math.min(0, ...points.map((point) => point[1]));
    const lower = -nice(-bottom);
    const upper = nice(top) || (lower ? 0 : 100);
    const y = (value) => (((upper - value) / (upper - lower)) * 120).toFixed(1);
    const x = (ms) => (600 - ((now - ms) / TREND_MS) * 600).toFixed(1);
    let path = "";
    let last = -Infinity;
    const runs = [];
    for (const [ms, value] of points) {
      if (ms - last > (ms <= (fresh[0]?.[0] ?? 0) ? UNWRITTEN_MS : 8000)) runs.push([]);
      runs[runs.length - 1].push(`${x(ms)} ${y(value)}`);
      last = ms;
    }
    let fill = "";
    for (const run of runs) {
      path += "M" + run.join("L");
      fill += `M${run[0].split(" ")[0]} ${y(0)}L${run.join("L")}V${y(0)}Z`;
    }
    line.setAttribute("d", path);
    area.setAttribute("d", fill);
    zero.setAttribute("d", `M0 ${y(0)}H600`);
    text(high, round(ctx, upper));
    text(low, round(ctx, lower));
  }
  return { element, battery };
}

const round = (ctx, value) => (Math.abs(value) >= 1000 ? ctx.number(value / 1000, value % 1000 ? 1 : 0, "kW") : ctx.number(value, 0, "W"));

function once(work) {
  let done = false;
  return (...all) => {
    if (done) return;
    done = true;
    work(...all);
  };
}

/** The next round number: 1, 1.5, 2, 3, 4, 5, 6, 8 or 10 times a power of ten; 0 for what is next to nothing. */
function nice(value) {
  if (value < 5) return 0;
  const unit = 10 ** Math.floor(Math.log10(value));
  return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].find((step) => step * unit >= value) * unit;
}

/** At most `count` points, each the mean of its neighbours. */
function thin(points, count) {
  const step = Math.ceil(points.length / count);
  if (step < 2) return points;
  const found = [];
  for (let i = 0; i < points.length; i += step) {
    const some = points.slice(i, i + step);
    found.push([some[some.length - 1][0], some.reduce((sum, point) => sum + point[1], 0) / some.length]);
  }
  return found;
}

// -- cells in short ----------------------------------------------------------------------------------------------------------

function cells(ctx) {
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

// -- connections -------------------------------------------------------------------------------------------------------------

function links(ctx) {
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
  function state({ bms, can, mqtt, wifi, version, uptime_ms }) {
    show("bms", bms.connected ? "good" : "bad", bms.connected ? "is.connected" : "is.silent", bms.reason);
    if (!can?.enabled) show("can", "", "is.off");
    else show("can", { RUNNING: "good", NO_ACK: "warn", STARTING: "warn" }[can.state] || "bad", "can." + can.state, number(can.speed / 1000, 0, "kbit/s"));
    if (can?.gx_present) show("gx", "good", "is.connected", can.speaking ? t("is.steered") : t("is.unsteered"));
    else show("gx", can?.gx_seen ? "bad" : "warn", can?.gx_seen ? "is.lost" : "is.never", can?.gx_seen ? duration(can.gx_age_ms) : "");
    if (!mqtt.broker) show("mqtt", "", "is.off");
    else show("mqtt", mqtt.connected ? "good" : "warn", mqtt.connected ? "is.connected" : "is.disconnected", mqtt.broker.replace(/^\w+:\/\//, ""));
    if (wifi.mode === "ap") show("wifi", "warn", "is.ap", wifi.ap_ssid);
    else show("wifi", wifi.connected ? "good" : "warn", wifi.connected ? "is.connected" : "is.disconnected", wifi.mode === "host" ? wifi.ip : [wifi.ssid, wifi.ip, wifi.rssi ? wifi.rssi + "\u00a0dBm" : ""].filter(Boolean).join(" · "));
    show("gateway", "good", "is.running", version + " · " + duration(uptime_ms));
  }
  function live() {
    if (ctx.live.link() === "live") return;
    show("gateway", "bad", ctx.live.link() === "wait" ? "is.unknown" : "is.unreachable");
  }
  return { element, state, live };
}

// -- alerts ------------------------------------------------------------------------------------------------------------------

function alerts(ctx) {
  const { h, t, time } = ctx;
  const list = h("ul");
  const element = card(ctx, "alertlist", list);
  let shown = null;

  function live() {
    const all = ctx.live.alerts;
    const key = JSON.stringify(all);
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
    list.replaceChildren(...(all.length ? [...all.slice(0, 6).map(line), more].filter(Boolean) : [h("li", { class: "quiet" }, t("alerts.none"))]));
    element.classList.toggle("some", all.length > 0);
  }
  return { element, live };
}
