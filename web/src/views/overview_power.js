// Overview: the state of charge, and where the power goes.
import { card, power, watts } from "./overview_common.js";

const ARC = 270; // length of the ring that is used (a circle of radius 54, open at the bottom)
const AVERAGE = 60; // seconds of current for the time left
const IDLE_MA = 500; // below this "time left" means nothing

export function soc(ctx) {
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
    arc.style.setProperty("display", percent === null ? "none" : ""); // its round end would be a dot
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

// -- where the power goes -------------------------------------------------------------------------------------------------

export function flow(ctx) {
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
