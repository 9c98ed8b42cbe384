// A live list of frames with filter, pause, counters, copy and download: what the views of CAN and UART share.
//
// Rows are drawn some times a second, however many frames come; the list keeps 500 and has a fixed height, so that the page
// around it is never laid out anew. It is no live region: a screen reader would never stop. Pause, then read.
import { copy, save, stampForName } from "./save.js";

const KEPT = 500;
const DRAW_MS = 250;
const CALM_DRAW_MS = 1000; // for who asked for reduced motion
const COUNTERS_MS = 1000;
const IDS_MAX = 64;
const PERIODS = 8; // intervals in the mean

/** `kind`: {type: of the message, idLabel, idHint, read(message): {id, key, name, bytes (hex with spaces), meaning, details: [[label, text]]},
 *  file(frames): {name, content}}. Returns {elements}. */
export function framesView(ctx, kind) {
  const view = new Frames(ctx, kind);
  ctx.on(kind.type, (message) => view.take(message));
  ctx.every(COUNTERS_MS, () => view.drawCounters());
  return view;
}

class Frames {
  constructor(ctx, kind) {
    Object.assign(this, { ctx, kind, t: ctx.t, h: ctx.h, frames: [], fresh: [], ids: new Map(), paused: false, missed: 0, timer: 0 });
    this.slow = matchMedia("(prefers-reduced-motion: reduce)").matches ? CALM_DRAW_MS : DRAW_MS;
    this.elements = [this.countersCard(), this.listCard()];
    ctx.signal.addEventListener("abort", () => clearTimeout(this.timer));
  }

  // -- what is on the page ---------------------------------------------------------------------------------------------

  countersCard() {
    const { h, t } = this;
    this.rows = h("tbody");
    const head = [this.kind.idLabel, t("direction"), t("name"), t("count"), t("period"), t("last")];
    const table = h("table", null, h("thead", null, h("tr", null, head.map((words, i) => h("th", { scope: "col", class: i === 3 || i === 4 ? "n" : "" }, words)))), this.rows);
    return h("section", { class: "card counters" }, h("h2", null, t("counters")), h("div", { class: "table-wrap", tabindex: "0", role: "region", "aria-label": t("counters") }, table));
  }

  listCard() {
    const { h, t } = this;
    const button = (key, work, more) => h("button", { type: "button", onclick: work, ...more }, t(key));
    this.id = h("input", { type: "search", id: "frame-id", placeholder: this.kind.idHint, autocomplete: "off", spellcheck: "false", oninput: () => this.filter() });
    this.find = h("input", { type: "search", id: "frame-find", placeholder: t("find.hint"), autocomplete: "off", spellcheck: "false", oninput: () => this.filter() });
    this.direction = h("select", { id: "frame-direction", onchange: () => this.filter() }, ["", "TX", "RX"].map((value) => h("option", { value }, value ? `${value} · ${t(value)}` : t("both"))));
    const field = (label, input) => h("div", { class: "field" }, h("label", { for: input.id }, label), input);
    this.hold = button("pause", () => this.pause(!this.paused), { "aria-pressed": "false" });
    this.said = h("p", { class: "quiet num said-here" }, t("nothing"));
    this.list = h("ol", { class: "frames", tabindex: "0", "aria-label": t("list"), "aria-describedby": "frames-help", onkeydown: (event) => this.key(event) });
    return h(
      "section",
      { class: "card" },
      h("h2", null, t("list")),
      h("div", { class: "filters" }, field(this.kind.idLabel, this.id), field(t("direction"), this.direction), field(t("find"), this.find)),
      h("div", { class: "buttons" }, this.hold, button("empty", () => this.clear()), button("copy", () => this.copy()), button("download", () => this.download()), this.said),
      h("p", { class: "visually-hidden", id: "frames-help" }, t("list.help")),
      this.list,
    );
  }

  row(frame) {
    const { h } = this;
    const row = h(
      "li",
      { class: "frame", dataset: { direction: frame.direction } },
      h(
        "details",
        { ontoggle: (event) => event.target.open && this.open(event.target, frame) },
        h(
          "summary",
          { tabindex: "-1" },
          h("time", null, frame.clock),
          h("b", null, frame.direction),
          h("b", { class: "mono" }, frame.id),
          h("span", { class: "mono bytes" }, frame.bytes),
          h("span", { class: "meaning" }, frame.meaning || frame.name),
        ),
      ),
    );
    return row;
  }

  open(details, frame) {
    if (details.children.length > 1) return;
    const { h } = this;
    const rows = [[this.t("time"), this.ctx.dateTime(frame.stamp)], [this.t("name"), frame.name], [this.t("bytes"), frame.bytes], ...frame.details]; // prettier-ignore
    details.append(h("dl", { class: "rows" }, rows.map(([label, words]) => h("div", null, h("dt", null, label), h("dd", { class: label === this.t("bytes") ? "mono" : "" }, words || "–")))));
  }

  // -- frames ----------------------------------------------------------------------------------------------------------

  take(message) {
    const frame = this.kind.read(message);
    frame.stamp = message.timestamp_ms;
    frame.direction = message.direction;
    frame.clock = clock(message.timestamp_ms);
    frame.text = `${frame.id} ${frame.bytes} ${frame.bytes.replaceAll(" ", "")} ${frame.meaning} ${frame.name}`.toLowerCase();
    this.count(frame);
    if (this.paused) {
      this.missed++;
      this.say();
      return;
    }
    this.frames.push(frame);
    if (this.frames.length > KEPT) this.frames.splice(0, this.frames.length - KEPT);
    if (this.passes(frame)) this.fresh.push(frame);
    if (this.fresh.length > KEPT) this.fresh.splice(0, this.fresh.length - KEPT);
    if (!this.timer) this.timer = setTimeout(() => this.draw(), this.slow);
  }

  passes({ id, key, direction, text }) {
    const { ids, only, words } = this.wanted ?? { ids: [], only: "", words: "" };
    if (only && direction !== only) return false;
    if (words && !text.includes(words)) return false;
    return !ids.length || ids.some((one) => key === one || id.toLowerCase().replace("0x", "").startsWith(one));
  }

  filter() {
    const ids = this.id.value.toLowerCase().split(/[\s,;]+/).map((one) => one.replace(/^0x/, "")).filter(Boolean); // prettier-ignore
    this.wanted = { ids, only: this.direction.value, words: this.find.value.trim().toLowerCase() };
    this.fresh = this.frames.filter((frame) => this.passes(frame));
    this.list.replaceChildren();
    this.draw();
    this.drawCounters();
  }

  matching() {
    return this.frames.filter((frame) => this.passes(frame));
  }

  draw() {
    clearTimeout(this.timer);
    this.timer = 0;
    const { list } = this;
    const rows = this.fresh.splice(0).reverse().map((frame) => this.row(frame)); // prettier-ignore
    list.prepend(...rows);
    const focused = list.contains(document.activeElement) && document.activeElement;
    while (list.children.length > KEPT && !(focused && list.lastChild.contains(focused))) list.lastChild.remove();
    this.say();
  }

  say() {
    const shown = this.list.children.length;
    let words = this.t("shown", { shown, kept: this.frames.length });
    if (!this.frames.length) words = this.t("nothing");
    else if (!shown) words = this.t("nothing.found");
    if (this.paused) words += " · " + this.t("waiting", { n: this.missed });
    this.ctx.text(this.said, words);
  }

  pause(on) {
    this.paused = on;
    this.missed = 0;
    this.ctx.attr(this.hold, "aria-pressed", String(on));
    this.ctx.text(this.hold, this.t(on ? "resume" : "pause"));
    this.draw();
  }

  clear() {
    this.frames = [];
    this.fresh = [];
    this.ids.clear();
    this.missed = 0;
    this.list.replaceChildren();
    this.rows.replaceChildren();
    this.say();
  }

  // -- counters --------------------------------------------------------------------------------------------------------

  count(frame) {
    const key = frame.key + frame.direction;
    let found = this.ids.get(key);
    if (!found) {
      if (this.ids.size >= IDS_MAX) return;
      this.ids.set(key, (found = { frame, count: 0, stamps: [] }));
    }
    found.frame = frame;
    found.count++;
    found.stamps.push(frame.stamp);
    if (found.stamps.length > PERIODS + 1) found.stamps.shift();
  }

  drawCounters() {
    const { ctx } = this;
    const all = [...this.ids].sort(([a], [b]) => (a < b ? -1 : 1));
    if (all.length !== this.rows.children.length) this.rows.replaceChildren(...all.map(([, { frame }]) => this.counter(frame)));
    for (const [i, [, { frame, count, stamps }]] of all.entries()) {
      const [button, , , total, period, last] = [...this.rows.children[i].children];
      const intervals = stamps.length - 1;
      const mean = intervals > 0 ? (stamps[intervals] - stamps[0]) / intervals : null;
      ctx.text(total, ctx.number(count));
      ctx.text(period, mean === null ? "–" : mean < 9950 ? ctx.number(mean / 1000, 2, "s") : ctx.duration(mean));
      ctx.text(last, frame.meaning || frame.bytes);
      ctx.attr(button.firstChild, "aria-pressed", String(this.wanted?.ids.length === 1 && this.wanted.ids[0] === frame.key));
    }
  }

  counter(frame) {
    const { h } = this;
    const only = () => {
      this.id.value = this.wanted?.ids.length === 1 && this.wanted.ids[0] === frame.key ? "" : frame.key;
      this.filter();
    };
    const button = h("button", { type: "button", class: "mono", "aria-label": this.t("only", { id: frame.id }), onclick: only }, frame.id);
    return h("tr", { dataset: { key: frame.key } }, h("td", null, button), h("td", null, h("b", { title: this.t(frame.direction) }, frame.direction)), h("td", null, frame.name), h("td", { class: "n" }), h("td", { class: "n" }), h("td", { class: "last quiet" }));
  }

  // -- keys, copy, download --------------------------------------------------------------------------------------------

  key(event) {
    const rows = [...this.list.querySelectorAll("summary")];
    const at = rows.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1 }[event.key];
    if (to === undefined || !rows.length) return;
    event.preventDefault();
    rows[Math.max(0, Math.min(rows.length - 1, to))].focus();
  }

  async copy() {
    const frames = this.matching();
    const line = ({ stamp, direction, id, bytes, meaning, name }) => [iso(stamp), direction, id, bytes, meaning || name].join("\t");
    const done = await copy(frames.map(line).join("\n"));
    this.ctx.toast(done ? this.t("copied", { n: frames.length }) : this.t("copy.failed"), done ? "good" : "bad");
  }

  download() {
    const { name, content } = this.kind.file(this.matching());
    save(name.replace("*", stampForName()), content);
  }
}

const two = (value, places = 2) => String(value).padStart(places, "0");

/** 14:03:07.123, in local time; the time since the start as it is. */
function clock(ms) {
  const at = new Date(ms < 1e12 ? ms + new Date().getTimezoneOffset() * 60000 : ms);
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${two(at.getMilliseconds(), 3)}`;
}

export const iso = (ms) => (ms < 1e12 ? (ms / 1000).toFixed(3) : new Date(ms).toISOString());
