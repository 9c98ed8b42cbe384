// Overview: power of the last ten minutes.
import { card } from "./overview_common.js";

const TREND_MS = 600000;
const HALF_MINUTE = 30000; // a sample of the archive is the mean of the minute that begins at its time
const UNWRITTEN_MS = 240000; // the archive lacks the last minutes: the line goes straight there

export function trend(ctx) {
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
