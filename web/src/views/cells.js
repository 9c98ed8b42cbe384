// Cells: a bar for each, who is low and high, who is balanced, and how they moved in the last minutes.
export { texts } from "./cells_texts.js";

const TREND_MS = 900000;
const POINTS = 180; // of a line

let shape = "bars"; // kept while the page is open
let scale = "near";

/** Lowest, highest, mean of what is known; null when nothing is. */
function summary(cells) {
  const known = cells.map((cell) => cell.voltage_mv).filter((mv) => mv !== null);
  if (!known.length) return null;
  const few = (mv) => known.filter((other) => other === mv).length <= 3; // more than that is no news
  const low = Math.min(...known);
  const high = Math.max(...known);
  return { low, high, spread: high - low, markLow: high > low && few(low), markHigh: high > low && few(high), mean: known.reduce((sum, mv) => sum + mv, 0) / known.length };
}

/** [from, to] in mV of the axis: at least 60 mV wide, so that noise does not look like imbalance. */
function range(sum, limits) {
  if (scale === "full" && limits?.cell_uv_mv && limits.cell_ov_mv) {
    return [Math.min(limits.cell_uv_mv, sum.low) - 50, Math.max(limits.cell_ov_mv, sum.high) + 50];
  }
  const width = Math.max(60, sum.spread * 1.6);
  const middle = (sum.low + sum.high) / 2;
  return [Math.floor((middle - width / 2) / 5) * 5, Math.ceil((middle + width / 2) / 5) * 5];
}

export function mount(root, ctx) {
  const { h, t, live } = ctx;
  let picked = 0; // number of the cell whose line is shown, 0: none
  const pick = (number) => {
    picked = picked === number ? 0 : number;
    draw();
  };
  const parts = [figures(ctx), bars(ctx, pick), table(ctx), trend(ctx)];
  const none = h("p", { class: "notice" }, t("none"));
  const [numbers, chart, list, lines] = parts;
  const body = h("div", { class: "body fresh" }, chart.element, list.element);
  const choose = choices(ctx, () => draw());
  root.append(
    none,
    numbers.element,
    h("section", { class: "card voltages", "aria-labelledby": "h-voltages" }, h("header", null, h("h2", { id: "h-voltages" }, t("voltages")), choose), body),
    lines.element,
  );

  function draw() {
    const cells = live.known?.cells || [];
    const sum = summary(cells);
    none.hidden = sum !== null || !live.battery; // not before the gateway has told
    chart.element.hidden = shape !== "bars";
    list.element.hidden = shape !== "table";
    if (!sum) return;
    const limits = live.state?.battery;
    for (const part of parts) if (!part.element.hidden) part.draw(cells, sum, limits, picked);
  }
  ctx.on("battery_data", draw);
  ctx.on("state", draw);
  draw();
}

function choices(ctx, changed) {
  const { h, t } = ctx;
  const group = (label, options, current, choose) => {
    const buttons = options.map((name) =>
      h("button", { type: "button", "aria-pressed": String(name === current), onclick: () => {
        choose(name);
        buttons.forEach((button, i) => button.setAttribute("aria-pressed", String(options[i] === name)));
        changed();
      } }, t(name)),
    ); // prettier-ignore
    return h("div", { role: "group", "aria-label": label, class: "group" }, buttons);
  };
  return h(
    "div",
    { class: "choices" },
    group(t("scale"), ["near", "full"], scale, (name) => (scale = name)),
    group(t("view"), ["bars", "table"], shape, (name) => (shape = name)),
  );
}

function figures(ctx) {
  const { h, t, text, number } = ctx;
  const values = {};
  const names = ["lowest", "highest", "spread", "mean", "balancing"];
  const figure = (name) => {
    const more = h("small", { class: "quiet" }, "\u00a0"); // as high as with words
    const value = h("span", null, number(null));
    values[name] = [h("dd", null, value, more), value, more];
    return h("div", null, h("dt", null, t(name)), values[name][0]);
  };
  const element = h("section", { class: "card", "aria-label": t("title") }, h("dl", { class: "figures fresh" }, names.map(figure)));

  function draw(cells, sum, limits) {
    const set = (name, value, more) => {
      text(values[name][1], value);
      text(values[name][2], more);
    };
    const at = (mv) => {
      const found = cells.filter((cell) => cell.voltage_mv === mv);
      return found.length > 1 ? t("and.more", { n: found[0].index + 1, more: found.length - 1 }) : t("at", { n: found[0].index + 1 });
    };
    set("lowest", number(sum.low / 1000, 3, "V"), at(sum.low));
    set("highest", number(sum.high / 1000, 3, "V"), at(sum.high));
    const allowed = limits?.cell_disbalance_mv;
    set("spread", number(sum.spread, 0, "mV"), allowed ? t("allowed", { value: number(allowed, 0, "mV") }) : "\u00a0");
    set("mean", number(sum.mean / 1000, 3, "V"), "\u00a0");
    set("balancing", String(cells.filter((cell) => cell.balancing).length), t("of.count", { n: cells.length }));
  }
  return { element, draw };
}

const needs = (limits, cell) => !cell.balancing && ((limits?.balance_need || 0) >> cell.index) & 1;

function words(ctx, cell, sum, limits) {
  const { t, number } = ctx;
  return [
    t("cell", { n: cell.index + 1 }) + ": " + number(cell.voltage_mv === null ? null : cell.voltage_mv / 1000, 3, "V"),
    sum.markLow && cell.voltage_mv === sum.low && t("low"),
    sum.markHigh && cell.voltage_mv === sum.high && t("high"),
    cell.balancing && t("balanced"),
    needs(limits, cell) && t("needs"),
  ].filter(Boolean).join(", "); // prettier-ignore
}

function bars(ctx, pick) {
  const { h, t, text, attr, number } = ctx;
  const list = h("ol", { class: "bars" });
  const axis = h("div", { class: "axis num", "aria-hidden": "true" }, h("span"), h("span"), h("span"));
  const element = h("div", { class: "chart" }, axis, list);

  function row(n) {
    return h(
      "li",
      null,
      h("button", { type: "button", onclick: () => pick(n) }, h("span", { class: "name", "aria-hidden": "true" }, String(n)), h("i", null, h("i")), h("b", { class: "num", "aria-hidden": "true" }), h("span", { class: "visually-hidden" })),
    );
  }
  function draw(cells, sum, limits, picked) {
    while (list.children.length > cells.length) list.lastChild.remove();
    while (list.children.length < cells.length) list.append(row(list.children.length + 1));
    list.style.setProperty("--count", cells.length);
    const [from, to] = range(sum, limits);
    [to, (from + to) / 2, from].forEach((mv, i) => text(axis.children[i], number(mv / 1000, 3, i ? "" : "V")));
    cells.forEach((cell, i) => {
      const item = list.children[i];
      const [button] = item.children;
      const [, bar, value, said] = button.children;
      const part = cell.voltage_mv === null ? 0 : Math.max(0.015, Math.min(1, (cell.voltage_mv - from) / (to - from)));
      bar.firstChild.style.setProperty("--part", part.toFixed(4));
      text(value, number(cell.voltage_mv === null ? null : cell.voltage_mv / 1000, 3));
      item.className = [
        cell.balancing && "balancing",
        needs(limits, cell) && "needs",
        sum.markLow && cell.voltage_mv === sum.low && "low",
        sum.markHigh && cell.voltage_mv === sum.high && "high",
      ].filter(Boolean).join(" "); // prettier-ignore
      text(said, words(ctx, cell, sum, limits));
      attr(button, "title", words(ctx, cell, sum, limits));
      attr(button, "aria-pressed", String(picked === i + 1));
    });
    attr(list, "aria-label", t("said", { low: number(sum.low / 1000, 3, "V"), high: number(sum.high / 1000, 3, "V"), spread: number(sum.spread, 0, "mV") }));
  }
  return { element, draw };
}

function table(ctx) {
  const { h, t, text, number } = ctx;
  const body = h("tbody");
  const heads = ["", "voltage", "difference", "change", "state"];
  const element = h(
    "div",
    { class: "table-wrap" },
    h("table", null, h("thead", null, h("tr", null, heads.map((name, i) => h("th", { scope: "col", class: i > 0 && i < 4 ? "n" : "" }, name && t(name))))), body),
  );

  function draw(cells, sum, limits) {
    while (body.children.length > cells.length) body.lastChild.remove();
    while (body.children.length < cells.length) {
      body.append(h("tr", null, h("th", { scope: "row" }), h("td", { class: "n" }), h("td", { class: "n" }), h("td", { class: "n" }), h("td")));
    }
    const now = performance.now();
    const before = ctx.live.trend.find((sample) => now - sample.t < 300000);
    const signed = (value) => (value > 0 ? "+" : "") + number(value, 0, "mV");
    cells.forEach((cell, i) => {
      const mv = cell.voltage_mv;
      const then = before && now - before.t > 60000 ? before.cells[i] : null;
      const state = [sum.markLow && mv === sum.low && t("low"), sum.markHigh && mv === sum.high && t("high"), cell.balancing && t("balanced"), needs(limits, cell) && t("needs")];
      [t("cell", { n: i + 1 }), number(mv === null ? null : mv / 1000, 3, "V"), mv === null ? number(null) : signed(mv - sum.mean),
        mv === null || then == null ? number(null) : signed(mv - then), state.filter(Boolean).join(", ")].forEach((value, k) => text(body.children[i].children[k], value));
    }); // prettier-ignore
  }
  return { element, draw };
}

function trend(ctx) {
  const { h, svg, t, text, attr, number, live } = ctx;
  const band = svg("path", { class: "band" });
  const line = svg("path", { class: "line" });
  const drawing = svg("svg", { viewBox: "0 0 600 160", preserveAspectRatio: "none", role: "img" }, band, line);
  const high = h("span", { class: "num" });
  const low = h("span", { class: "num" });
  const legend = h("p", { class: "legend quiet" });
  let before = []; // {t, low, high} of the minutes before the page was opened
  let asked = false;
  ctx.on("state", fetchBefore);
  const element = h(
    "section",
    { class: "card trend", "aria-labelledby": "h-trend" },
    h("header", null, h("h2", { id: "h-trend" }, t("trend")), legend),
    h("div", { class: "plot fresh" }, drawing, high, low),
    h("p", { class: "under" }, h("span", null, t("ago")), h("span", null, t("now"))),
  );

  async function fetchBefore({ timestamp_ms, history }) {
    const first = live.trend[0]?.t ?? performance.now();
    if (!history || asked || performance.now() - first > TREND_MS) return;
    asked = true;
    const answer = await ctx.attempt(() => ctx.api.get("/api/history?resolution=1m&limit=15"), { quiet: true });
    const volts = (value) => (value == null ? null : value * 1000);
    before = (answer?.samples || [])
      .map((sample) => ({
        t: performance.now() - (timestamp_ms - sample.timestamp) + 30000, // the middle of its minute
        low: volts(sample.cell_voltage_min),
        high: volts(sample.cell_voltage_max),
        one: null,
      }))
      .filter((row) => row.low !== null && row.high !== null && row.t < first && row.t > first - TREND_MS);
  }

  function draw(cells, sum, limits, picked) {
    const now = performance.now();
    const all = live.trend.filter((sample) => now - sample.t < TREND_MS && sample.cells.length);
    text(legend, picked ? t("cell", { n: picked }) + " · " + t("band") : all.length > 60 ? t("trend.pick") : t("trend.empty"));
    if (all.length < 2) return;
    const step = Math.ceil(all.length / POINTS);
    const samples = all.filter((sample, i) => i % step === 0 || i === all.length - 1);
    const minutes = before.filter((row) => now - row.t < TREND_MS);
    const seconds = samples.map((sample) => {
      const known = sample.cells.filter((mv) => mv !== null);
      return { t: sample.t, low: Math.min(...known), high: Math.max(...known), one: picked ? sample.cells[picked - 1] : null };
    });
    const rows = [...minutes, ...seconds];
    const bottom = Math.floor(Math.min(...rows.map((row) => row.low)) / 5) * 5 - 5;
    const top = Math.max(bottom + 20, Math.ceil(Math.max(...rows.map((row) => row.high)) / 5) * 5 + 5);
    const x = (row) => (600 - ((now - row.t) / TREND_MS) * 600).toFixed(1);
    const y = (mv) => (((top - mv) / (top - bottom)) * 160).toFixed(1);
    const runs = [];
    rows.forEach((row, i) => {
      if (!i || row.t - rows[i - 1].t > (i <= minutes.length ? 240000 : 8000 + step * 1500)) runs.push([]);
      runs[runs.length - 1].push(row);
    });
    const points = (run, key) => run.filter((row) => row[key] != null).map((row) => `${x(row)} ${y(row[key])}`);
    band.setAttribute("d", runs.map((run) => `M${points(run, "high").join("L")}L${points([...run].reverse(), "low").join("L")}Z`).join(""));
    line.setAttribute("d", picked ? runs.map((run) => points(run, "one")).filter((list) => list.length).map((list) => "M" + list.join("L")).join("") : "");
    text(high, number(top / 1000, 3, "V"));
    text(low, number(bottom / 1000, 3, "V"));
    attr(drawing, "aria-label", t("trend") + ": " + t("said", { low: number(bottom / 1000, 3, "V"), high: number(top / 1000, 3, "V"), spread: number(sum.spread, 0, "mV") }));
  }
  return { element, draw };
}
