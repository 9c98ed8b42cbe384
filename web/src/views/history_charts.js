// One small chart per quantity over the same time; cursor, selection and zoom are common to all.

const AXIS_WIDTH = 52; // the same for all, so that times stand above each other
const CURSOR = "history";

/** The quantities: name in the rows, unit, digits, colour, smallest height of the scale, its bounds. */
export const QUANTITIES = [
  { name: "voltage", unit: "V", digits: 2, colour: "--accent", least: 0.4 },
  { name: "current", unit: "A", digits: 1, colour: "--info", least: 2 },
  { name: "power", unit: "W", digits: 0, colour: "--info", least: 100 },
  { name: "soc", unit: "%", digits: 1, colour: "--good", least: 4, low: 0, high: 100 },
  { name: "temperature", unit: "°C", digits: 1, colour: "--warn", least: 2 },
  { name: "spread", unit: "mV", digits: 0, colour: "--balance", least: 10, low: 0 },
];

/** The range of a y scale: all that is visible, a margin, at least `least` high. */
function scaleOf({ least, low = -Infinity, high = Infinity }) {
  return (u, min, max) => {
    if (min === null || max === null) return [low === 0 ? 0 : -least / 2, low === 0 ? least : least / 2];
    const room = Math.max((max - min) * 0.08, (least - (max - min)) / 2);
    let [bottom, top] = [min - room, max + room];
    if (bottom < low) [bottom, top] = [low, Math.max(top, low + least)];
    if (top > high) [bottom, top] = [Math.min(bottom, high - least), high];
    return [bottom, top];
  };
}

/** Words under the time axis: as fine as the distance of the marks asks for. */
function timeWords(ctx, relative) {
  const locale = ctx.lang === "fr" ? "fr-FR" : "en-GB";
  const form = (options) => new Intl.DateTimeFormat(locale, options);
  const day = form({ day: "numeric", month: "short" });
  const minute = form({ hour: "2-digit", minute: "2-digit" });
  const second = form({ hour: "2-digit", minute: "2-digit", second: "2-digit" });
  const since = (s) => new Date(s * 1000).toISOString().slice(11, 19);
  return (u, splits, axis, space, step) =>
    splits.map((s) => {
      if (relative()) return s < 0 ? "" : since(s);
      const date = new Date(s * 1000);
      if (step >= 86400 || (step >= 3600 && date.getHours() === 0)) return day.format(date);
      return (step >= 60 ? minute : second).format(date);
    });
}

export class Charts {
  /** `hear`: {select(from, to), whole(), cursor(index or null)}; `relative()`: times count from the start. */
  constructor(ctx, hear, relative) {
    Object.assign(this, { ctx, hear, relative, uPlot: null, rows: null, selected: 0 });
    this.colours = {};
    this.words = timeWords(ctx, relative);
    this.plots = QUANTITIES.map((quantity) => this._figure(quantity));
    this.elements = this.plots.map((plot) => plot.figure);
    this.watch = new ResizeObserver(() => this._fit());
    this._takeColours();
    ctx.redraw(() => {
      this._takeColours();
      for (const { u } of this.plots) u?.redraw(false);
    });
  }

  /** Draw for the first time, once the elements are in the page. */
  start(uPlot) {
    this.uPlot = uPlot;
    for (const plot of this.plots) {
      plot.u = new this.uPlot(this._options(plot), [[], [], [], []], plot.host);
      this.watch.observe(plot.host);
    }
  }

  end() {
    this.watch.disconnect();
    for (const { u } of this.plots) u?.destroy();
  }

  _figure(quantity) {
    const { h, t } = this.ctx;
    const value = h("output", { class: "num fresh" }, "–");
    const note = quantity.name === "current" ? h("small", { class: "quiet" }, t("current.note")) : null;
    const host = h("div", { class: "plot", "aria-hidden": "true" });
    const figure = h("figure", { class: "card" }, h("figcaption", null, h("h3", null, t(quantity.name)), note, value), host);
    return { quantity, figure, host, value, u: null };
  }

  _takeColours() {
    const style = getComputedStyle(document.documentElement);
    for (const name of ["--quiet", "--line", "--line-strong", ...QUANTITIES.map((one) => one.colour)]) {
      this.colours[name] = style.getPropertyValue(name).trim();
    }
  }

  _options({ quantity, host }) {
    const { ctx, colours, hear } = this;
    const colour = (name) => () => colours[name];
    const axis = { stroke: colour("--quiet"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
    const digits = (step) => [0, 1, 2].find((places) => Math.abs(step * 10 ** places - Math.round(step * 10 ** places)) < 1e-6) ?? 3;
    const edge = { stroke: () => "transparent", width: 0, points: { show: false } };
    const left = (handler) => (event) => {
      if (event.button === 0 && !event.shiftKey) handler(event);
    };
    return {
      ...this._size(host),
      legend: { show: false },
      tzDate: (s) => (this.relative() ? this.uPlot.tzDate(new Date(s * 1e3), "Etc/UTC") : new Date(s * 1e3)),
      cursor: {
        y: false,
        sync: { key: CURSOR },
        drag: { x: true, y: false, setScale: false, dist: 6 },
        points: { size: 7 },
        bind: {
          mousedown: (u, target, handler) => left(handler),
          dblclick: () => () => hear.whole(),
        },
      },
      scales: { x: { auto: false }, y: { range: scaleOf(quantity) } },
      axes: [
        { ...axis, values: this.words, space: 68, size: 26 },
        { ...axis, size: AXIS_WIDTH, gap: 4, space: 34, values: (u, splits, i, space, step) => splits.map((v) => ctx.number(v, digits(step))) },
      ],
      series: [{}, { stroke: colour(quantity.colour), width: 1.6, points: { size: 4, fill: colour(quantity.colour) } }, edge, edge],
      bands: [{ series: [3, 2], fill: () => colours[quantity.colour] + "30" }],
      hooks: {
        setSelect: [(u) => this._selected(u)],
        setCursor: [(u) => this._cursor(u)],
        draw: [(u) => this._zero(u)],
      },
    };
  }

  _size(host) {
    return { width: Math.max(120, host.clientWidth), height: Math.max(80, host.clientHeight) };
  }

  _fit() {
    for (const { u, host } of this.plots) {
      const size = this._size(host);
      if (u && (size.width !== u.width || size.height !== u.height)) u.setSize(size);
    }
  }

  _selected(u) {
    const { left, width } = u.select;
    if (width < 6 || performance.now() - this.selected < 200) return; // the other charts tell the same selection
    this.selected = performance.now();
    const [from, to] = [u.posToVal(left, "x"), u.posToVal(left + width, "x")];
    for (const plot of this.plots) plot.u?.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.hear.select(from, to);
  }

  _cursor(u) {
    if (u !== this.plots[0].u) return; // the others follow it
    const inside = u.cursor.left >= 0 && u.cursor.idx !== null && u.cursor.idx !== undefined;
    this.hear.cursor(inside ? u.cursor.idx : null);
  }

  /** A stronger line at zero where both signs are shown. */
  _zero(u) {
    const { min, max } = u.scales.y;
    if (!(min < 0 && max > 0)) return;
    const y = Math.round(u.valToPos(0, "y", true)) + 0.5;
    u.ctx.save();
    u.ctx.strokeStyle = this.colours["--line-strong"];
    u.ctx.beginPath();
    u.ctx.moveTo(u.bbox.left, y);
    u.ctx.lineTo(u.bbox.left + u.bbox.width, y);
    u.ctx.stroke();
    u.ctx.restore();
  }

  /** Show `rows` from `view.from` to `view.to`. */
  show(rows, view) {
    this.rows = rows;
    const none = new Array(rows.length).fill(null);
    const band = rows.want.resolution !== "live";
    for (const { u, quantity } of this.plots) {
      const { name } = quantity;
      const data = [rows.x, rows[name], (band && rows[name + "Min"]) || none, (band && rows[name + "Max"]) || none];
      u.batch(() => {
        u.setData(data, false);
        u.setScale("x", { min: view.from, max: view.to });
      });
    }
  }

  /** The figures beside the titles: of row `index`, null for the newest known ones. */
  values(index) {
    for (const { quantity, value } of this.plots) {
      const column = this.rows?.[quantity.name] ?? [];
      let shown = index === null ? null : (column[index] ?? null);
      if (index === null) for (let i = column.length - 1; i >= 0 && shown === null; i--) shown = column[i];
      this.ctx.text(value, this.ctx.number(shown, quantity.digits, quantity.unit));
    }
  }

  /** Put the cursor of all charts on row `index`, null takes it away. */
  pointAt(index) {
    const { u } = this.plots[0];
    if (index === null) return u.setCursor({ left: -10, top: -10 }, true, true);
    u.setCursor({ left: u.valToPos(this.rows.x[index], "x"), top: 1 }, true, true);
  }

  /** Time under a place of the page, on whichever chart it is. */
  timeAt(clientX, target) {
    const plot = this.plots.find(({ host }) => host.contains(target)) || this.plots[0];
    const box = plot.u.over.getBoundingClientRect();
    return plot.u.posToVal(clientX - box.left, "x");
  }

  get width() {
    return this.plots[0].u?.over.clientWidth || 1;
  }
}
