// History: charts over minutes to a month, their summary, downloads. What `ctx` has is told in app.js.
import { Charts, QUANTITIES } from "./history_charts.js";
import { load, suits, wanted } from "./history_data.js";
import { follow } from "./history_moves.js";
import { downloads, summaryTable } from "./history_parts.js";
export { texts } from "./history_texts.js";

const RANGES = [3600, 21600, 86400, 604800, 2592000]; // s, after that of the live ring
const LEAST_S = 10; // no view is shorter
const MOST_S = 31 * 86400;
const WAIT_MS = 250; // after the last movement, before more is loaded
const REFILL_MS = 30000; // between two attempts to fill a gap at the end
const SLOW_MS = 5000; // how often a long range moves on
const UNIX_S = 1e9; // times below count from the start of the gateway
let remembered = "live"; // the range somebody chose last

export function mount(root, ctx) {
  const history = new History(root, ctx);
  history.open();
  return () => history.end();
}

class History {
  constructor(root, ctx) {
    Object.assign(this, { ctx, t: ctx.t, live: null, rows: null, range: null, following: true, view: null });
    Object.assign(this, { turn: 0, loading: null, timer: 0, drawn: 0, refilled: 0, pointed: null, told: null });
    const hear = { select: (from, to) => this.look(from, to), whole: () => this.choose(this.range), cursor: (i) => this.point(i) };
    this.charts = new Charts(ctx, hear, () => this.now() < UNIX_S);
    root.append(this.toolbar(), this.area(), summaryTable(ctx, (this.summary = new Map())), downloads(ctx, () => this.csv()));
    follow(this.area_, this.charts, this);
  }

  // -- what is on the page ---------------------------------------------------------------------------------------------

  toolbar() {
    const { h } = this.ctx;
    const button = (key, sign, work) => h("button", { type: "button", title: this.t(key), "aria-label": this.t(key), onclick: work }, sign);
    this.ranges = h("div", { class: "choices", role: "group", "aria-label": this.t("ranges") });
    this.fillRanges();
    this.readout = h("p", { class: "quiet num" }, this.t("loading"));
    const moves = h(
      "div",
      { class: "moves" },
      button("earlier", "‹", () => this.pan(-0.5)),
      button("later", "›", () => this.pan(0.5)),
      button("out", "−", () => this.zoom(2)),
      button("in", "+", () => this.zoom(0.5)),
      (this.toNow = button("now", this.t("now"), () => this.toEnd())),
    );
    return h("div", { class: "card tools" }, this.ranges, moves, this.readout);
  }

  fillRanges() {
    const { h, duration } = this.ctx;
    const reach = this.live && this.live.interval * this.live.capacity;
    const words = (range) => (range !== "live" ? this.t("range." + range) : this.t("live") + (reach ? " · " + duration(reach * 1000) : ""));
    this.ranges.replaceChildren(
      ...["live", ...RANGES].map((range) =>
        h("button", { type: "button", "aria-pressed": String(range === this.range), onclick: () => this.choose(range) }, words(range)),
      ),
    );
  }

  area() {
    const { h } = this.ctx;
    this.area_ = h("div", { class: "charts", tabindex: "0", role: "group", "aria-label": this.t("charts"), "aria-describedby": "history-help" }, this.charts.elements);
    this.notice = h("div", { class: "notice", hidden: true });
    this.said = h("p", { class: "visually-hidden", role: "status" });
    const help = h("details", { class: "help" }, h("summary", null, this.t("help.title")), h("p", { id: "history-help", class: "quiet" }, this.t("help")));
    return h("div", { class: "stack" }, this.notice, this.area_, this.said, help);
  }

  tell(tone, words, again) {
    const { h } = this.ctx;
    this.notice.hidden = !words;
    if (!words) return;
    this.notice.dataset.tone = tone;
    this.notice.setAttribute("role", tone === "bad" ? "alert" : "status");
    this.notice.replaceChildren(h("span", null, words), again ? h("button", { type: "button", onclick: again }, this.t("again")) : "");
  }

  // -- opening ---------------------------------------------------------------------------------------------------------

  async open() {
    try {
      const [about, { uPlot }] = await Promise.all([this.ctx.api.get("/api/history?limit=1"), this.ctx.chart()]);
      if (this.ctx.signal.aborted) return;
      this.live = { interval: about.interval_ms / 1000, capacity: about.capacity };
      this.newest = (about.samples[0]?.timestamp ?? 0) / 1000;
      if (!this.charts.uPlot) this.charts.start(uPlot);
    } catch (error) {
      this.failed(error, () => this.open());
      return;
    }
    this.tell();
    this.ctx.on("battery_data", (message) => this.hear(message));
    const asked = this.ctx.route.query.get("range");
    const range = { "1h": 3600, "6h": 21600, "24h": 86400, "7d": 604800, "30d": 2592000, live: "live" }[asked] ?? remembered;
    this.choose(range);
  }

  busy(on) {
    this.ctx.attr(this.area_, "aria-busy", String(on));
  }

  failed(error, again) {
    if (error.name === "AbortError" || this.ctx.signal.aborted) return;
    this.busy(false);
    this.tell("bad", this.t("failed", { text: this.ctx.errorText(error) }), again);
    this.ctx.text(this.readout, "–");
  }

  end() {
    clearTimeout(this.timer);
    this.stop();
    this.charts.end();
  }

  // -- moving: all of these end in `look` ------------------------------------------------------------------------------

  /** The gateway's time in s. */
  now() {
    if (this.told) return this.told.stamp + (performance.now() - this.told.at) / 1000;
    return this.newest || Date.now() / 1000;
  }

  choose(range) {
    if (!this.live) return;
    this.range = remembered = range;
    this.charts.pointAt(null);
    this.pointed = null;
    const span = range === "live" ? this.live.interval * this.live.capacity : range;
    for (const [i, button] of [...this.ranges.children].entries()) button.setAttribute("aria-pressed", String(["live", ...RANGES][i] === range));
    if (this.ranges.firstChild.textContent === this.t("live")) this.fillRanges();
    this.look(this.now() - span, this.now());
  }

  pan(part) {
    if (!this.view) return;
    const by = (this.view.to - this.view.from) * part;
    this.look(this.view.from + by, this.view.to + by);
  }

  /** `factor` below 1 shows less; the time `at` stays where it is: the middle, or the end while it follows the time. */
  zoom(factor, at) {
    if (!this.view) return;
    const { from, to } = this.view;
    const span = Math.max(LEAST_S, Math.min(MOST_S, (to - from) * factor));
    at = this.following && at === undefined ? to : (at ?? (from + to) / 2);
    const part = (at - from) / (to - from);
    this.look(at - span * part, at + span * (1 - part));
  }

  toEnd() {
    if (this.view) this.look(this.now() - (this.view.to - this.view.from), this.now());
  }

  whole() {
    this.choose(this.range);
  }

  /** Show the time from `from` to `to`, within what there can be. */
  look(from, to) {
    const now = this.now();
    const span = Math.max(LEAST_S, Math.min(MOST_S, to - from));
    to = Math.min(now, Math.max(to, now - MOST_S + span));
    this.view = { from: to - span, to };
    this.following = to >= now - Math.max(1.5, span / 500);
    this.toNow.disabled = this.following;
    const want = wanted(this.view, now, this.live);
    clearTimeout(this.timer);
    if (this.loading && suits(this.loading, want, this.view)) return this.draw();
    if (suits(this.rows?.want, want, this.view)) this.stop();
    else this.timer = setTimeout(() => this.load(want), this.rows ? WAIT_MS : 0);
    this.draw();
  }

  // -- data ------------------------------------------------------------------------------------------------------------

  /** What is being loaded is not wanted any more. */
  stop() {
    this.turn++;
    this.loading = null;
    this.busy(false);
  }

  async load(want) {
    const mine = ++this.turn;
    this.loading = want;
    this.busy(true);
    let painted = 0;
    const first = !this.rows;
    const arrived = (rows) => {
      if (mine === this.turn && first && performance.now() - painted >= WAIT_MS) {
        painted = performance.now();
        this.rows = rows;
        this.draw();
      }
      return mine === this.turn;
    };
    try {
      const rows = await load(this.ctx, want, arrived);
      if (mine !== this.turn) return;
      this.rows = rows;
      this.loading = null;
      this.busy(false);
      this.tell(this.now() < UNIX_S ? "warn" : "", this.now() < UNIX_S ? this.t("noclock") : "");
      if (this.following) this.toEnd();
      else this.draw();
    } catch (error) {
      if (mine !== this.turn) return;
      this.loading = null;
      this.failed(error, () => this.load(want));
    }
  }

  hear(message) {
    this.told = { stamp: message.timestamp_ms / 1000, at: performance.now() };
    const { rows } = this;
    if (!rows || this.loading) return;
    const quick = rows.want.resolution === "live";
    if (rows.want.to === Infinity) {
      const last = rows.x[rows.length - 1];
      const missed = last !== undefined && message.voltage_mv !== null && this.told.stamp - last > rows.gap * 1.5;
      if (missed && performance.now() - this.refilled > REFILL_MS) {
        this.refilled = performance.now();
        this.load(rows.want);
        return;
      }
      rows.tail(message, this.ctx.live.state?.battery?.soc_hundredths);
    }
    if (!this.following || (!quick && performance.now() - this.drawn < SLOW_MS)) return;
    this.toEnd();
  }

  // -- showing ---------------------------------------------------------------------------------------------------------

  draw() {
    const { rows, view, ctx } = this;
    if (!rows || !view) return;
    this.drawn = performance.now();
    this.charts.show(rows, view);
    if (this.pointed === null) this.describe();
    for (const [name, cells] of this.summary) {
      const { digits, unit } = QUANTITIES.find((one) => one.name === name);
      const found = rows.summary(name, view.from, view.to);
      for (const key in cells) ctx.text(cells[key], ctx.number(found[key], digits, unit));
    }
  }

  /** What is shown, as CSV; null when there is nothing yet. */
  csv() {
    return this.rows && this.view && this.rows.csv(this.view.from, this.view.to);
  }

  when(s) {
    return this.ctx.time(s * 1000);
  }

  describe() {
    const { rows, view, t, ctx } = this;
    const { resolution, interval } = rows.want;
    const step = resolution === "live" && interval < 1 ? ctx.number(interval, 2, "s") : ctx.duration(interval * 1000);
    const [first, end] = rows.between(view.from, view.to);
    const words = [t("until", { from: this.when(view.from), to: this.when(view.to) })];
    if (first === end) words.push(t(this.loading ? "loading" : "empty"));
    else words.push(t(resolution === "live" ? "every.live" : "every", { step }));
    ctx.text(this.readout, words.join(" · "));
    this.charts.values(null);
  }

  /** The cursor is on a row, or nowhere (null). */
  point(index) {
    this.pointed = index !== null && this.rows?.length > index ? index : null;
    if (!this.rows) return;
    if (this.pointed === null) return this.describe();
    this.ctx.text(this.readout, this.t("at", { time: this.when(this.rows.x[index]) }));
    this.charts.values(index);
  }

  /** Keys: the cursor goes `by` rows, and what it shows is said. */
  step(by) {
    const { rows, view } = this;
    if (!rows?.length) return;
    const [first, end] = rows.between(view.from, view.to);
    if (first === end) return;
    const index = Math.max(first, Math.min(end - 1, (this.pointed ?? end) + by));
    this.charts.pointAt(index);
    this.point(index);
    const said = QUANTITIES.map(({ name, digits, unit }) => this.t(name) + " " + this.ctx.number(rows[name][index], digits, unit));
    this.ctx.text(this.said, this.when(rows.x[index]) + ": " + said.join(", "));
  }
}
