// TinyBMS settings: read, change, review, write one by one, show what was read back. What `ctx` has is told in app.js.
import { plain } from "./form.js";
export { texts } from "./bms_texts.js";

const STOPS = ["NO_ANSWER", "TIMEOUT", "UNAUTHORIZED", "PASSWORD_REQUIRED", "TOO_MANY_FAILURES"]; // the next one would fail too

export function mount(root, ctx) {
  const { h, t, api } = ctx;
  const fields = new Map(); // by key
  const notice = h("p", { class: "notice", dataset: { tone: "warn" }, hidden: true });
  const count = h("b", { role: "status" });
  const review = h("button", { type: "button", class: "primary", onclick: ask }, t("review"));
  const discard = h("button", { type: "button", onclick: () => (fields.forEach((field) => field.reset()), changed()) }, t("discard"));
  const again = h("button", { type: "button", onclick: () => read() }, t("read"));
  const bar = h("div", { class: "card bar" }, count, review, discard, again);
  const groups = h("div", { class: "wall" }, h("p", { class: "card quiet", style: { "min-height": "70vh" } }, t("loading")));
  root.append(h("p", { class: "quiet" }, t("intro")), notice, groups, bar);
  let connected = null;

  const edits = () => [...fields.values()].filter((field) => field.edited());
  const changed = () => {
    const n = edits().length;
    ctx.text(count, n === 0 ? t("edits.none") : n === 1 ? t("edits.one") : t("edits.many", { n }));
    review.disabled = discard.disabled = n === 0;
  };

  async function read() {
    again.disabled = true;
    try {
      const answer = await api.get("/api/registers?lang=" + ctx.lang, { timeout: 30000 });
      if (!fields.size) draw(answer.registers);
      answer.registers.forEach((register) => fields.get(register.key)?.take(register, answer.connected));
      connected = answer.connected;
      notice.hidden = connected;
      ctx.text(notice, connected ? "" : t("away"));
    } catch (error) {
      if (ctx.signal.aborted) return;
      notice.hidden = false;
      ctx.text(notice, ctx.errorText(error));
    }
    again.disabled = false;
    changed();
  }

  function draw(registers) {
    const names = [...new Set(registers.map((register) => register.group))];
    registers.forEach((register) => fields.set(register.key, new Field(ctx, register, changed)));
    const groupCard = (name) =>
      h("section", { class: "card form" }, h("h2", null, t("group." + name)), h("div", { class: "fields" }, registers.filter((one) => one.group === name).map((one) => fields.get(one.key).element)));
    groups.replaceChildren(...names.map(groupCard));
  }

  async function ask() {
    const wrong = edits().filter((field) => field.check());
    wrong[0]?.input.focus();
    if (wrong.length) return;
    await ctx.dialog(t("review.title"), (close) => reviewed(ctx, edits(), close), { danger: true, wide: true });
    changed();
  }

  ctx.dirty(() => edits().length > 0);
  ctx.on("battery_data", (message) => {
    const here = message.status !== "DISCONNECTED";
    if (connected !== null && here !== connected && !again.disabled) {
      connected = here;
      if (here) read();
      else {
        notice.hidden = false;
        ctx.text(notice, t("away"));
      }
    }
  });
  changed();
  return read();
}

/** One setting. Values are those of the register; people see them times `scale`. */
class Field {
  constructor(ctx, register, changed) {
    Object.assign(this, { ctx, register, value: null, once: register.key.startsWith("set_") });
    const { h, t } = ctx;
    const id = "r-" + register.key;
    this.said = h("small", { id: id + "-said" });
    const props = { id, name: register.key, "aria-describedby": this.said.id };
    this.choices = register.type === "bit" ? [{ value: 0, label: t("off") }, { value: 1, label: t("on") }] : register.values;
    const options = () => [h("option", { value: "" }, "–"), ...this.choices.map((one) => h("option", { value: one.value }, one.label))];
    this.input = this.choices ? h("select", props, options()) : h("input", { ...props, type: "number", step: register.scale, placeholder: "–" });
    this.input.addEventListener("input", () => (this.note(), changed()));
    const warning = register.warning && h("small", { class: "warning" }, "⚠ ", register.warning);
    this.element = h("div", { class: "field" }, h("label", { for: id }, register.label), h("span", { class: "entry" }, this.input, register.unit && h("span", null, register.unit)), this.said, warning);
  }

  /** What the gateway has read. An edit stays an edit. */
  take(register, connected) {
    const edit = this.edited() ? this.input.value : null;
    this.register = register;
    if (connected) this.value = register.value;
    this.input.disabled = register.read_only;
    if (edit === null) this.reset();
    else this.input.value = edit;
    this.note();
  }

  reset() {
    this.input.value = this.value === null ? "" : this.choices ? this.value : this.people(this.value);
    this.note();
  }

  people(value) {
    return Number((value * this.register.scale).toFixed(3));
  }

  get() {
    if (this.input.value === "") return null;
    return this.choices ? Number(this.input.value) : Math.round(Number(this.input.value) / this.register.scale);
  }

  edited() {
    return this.get() === null ? !!this.input.validity.badInput : this.get() !== this.value;
  }

  words(value) {
    if (value === null || value === undefined) return "–";
    const choice = this.choices?.find((one) => one.value === value);
    return choice ? choice.label : [this.choices ? value : plain(this.ctx, this.people(value)), this.register.unit].filter(Boolean).join(" ");
  }

  /** Why the entry is bad, "" when it is good; shows it. */
  check() {
    const { min, max } = this.register;
    const value = this.get();
    const bad = value === null || this.input.validity.badInput || value < min || value > max;
    this.note(bad && !this.choices ? this.ctx.t("bad", this.range()) : "");
    return bad;
  }

  range() {
    return { min: plain(this.ctx, this.people(this.register.min)), max: this.words(this.register.max) };
  }

  note(problem = "") {
    const { t } = this.ctx;
    const { register } = this;
    const parts = [];
    if (!register.supported) parts.push(t("since", { version: register.since }));
    else {
      if (!this.choices) parts.push(t("range", this.range()));
      if (register.default !== null && !this.once) parts.push(t("default", { value: this.words(register.default) }));
      if (this.once) parts.push(t("once"));
      if (this.edited() && this.value !== null) parts.push(t("was", { value: this.words(this.value) }));
    }
    this.ctx.text(this.said, problem || parts.join(" · "));
    this.said.classList.toggle("said", problem !== "");
    this.ctx.attr(this.input, "aria-invalid", problem ? "true" : null);
    this.element.classList.toggle("edited", this.edited());
  }

  /** Write it; gives the words for what was read back. Throws ApiError. */
  async write(api) {
    const answer = await api.post("/api/registers", { key: this.register.key, value: this.get() }, { timeout: 20000 });
    if (!this.once) this.value = answer.value;
    this.input.value = "";
    this.reset();
    return this.words(answer.value);
  }
}

/** The content of the review: what becomes what, then what came of it. */
function reviewed(ctx, fields, close) {
  const { h, t, api } = ctx;
  const rows = fields.map((field) => {
    const result = h("td", { class: "result" }, "");
    const meaning = [field.register.warning, field.register.restart && t("restarts"), field.once && t("once")].filter(Boolean);
    const row = h("tr", null, h("th", { scope: "row" }, field.register.label), h("td", { class: "num" }, field.words(field.value), " → ", h("b", null, field.words(field.get()))), h("td", null, meaning.map((words) => h("p", null, words)), meaning.length ? null : "–"), result);
    return { field, row, result, done: false };
  });
  const head = h("tr", null, ["setting", "change", "meaning", "result"].map((name) => h("th", { scope: "col" }, t(name))));
  const said = h("p", { role: "status" }, t("review.text"));
  const stop = h("button", { type: "button", autofocus: true, onclick: () => close() }, t("cancel"));
  const go = h("button", { type: "button", class: "danger", onclick: write }, t("write"));

  async function one(item) {
    ctx.text(item.result, t("writing"));
    try {
      const words = await item.field.write(api);
      item.result.replaceChildren(h("span", { class: "badge", dataset: { tone: "good" } }, "✓ ", t("readback", { value: words })));
      item.done = true;
    } catch (error) {
      item.result.replaceChildren(h("span", { class: "said" }, "✕ ", ctx.errorText(error), error.code === "PASSWORD_REQUIRED" && [" ", h("a", { href: "#/setup", onclick: () => close() }, t("password"))]));
      return STOPS.includes(error.code) || error.status === 503;
    }
    return false;
  }

  async function write() {
    const dark = rows.some((item) => !item.done && item.field.register.restart);
    if (dark && !(await ctx.confirm({ title: t("dark.title"), text: t("dark.text"), action: t("write"), danger: true }))) return;
    go.disabled = stop.disabled = true;
    // what depends on another setting may need that one first: tried again as long as something gets through
    for (let before = -1, now = 0; before !== now && now < rows.length; ) {
      before = now;
      let broken = false;
      for (const item of rows.filter((item) => !item.done)) {
        if (broken) ctx.text(item.result, t("notwritten"));
        else broken = await one(item);
      }
      now = broken ? before : rows.filter((item) => item.done).length;
    }
    const done = rows.filter((item) => item.done).length;
    ctx.text(said, done === rows.length ? t("written.all", { n: done }) : t("written.some", { done, n: rows.length }));
    go.disabled = stop.disabled = false;
    go.hidden = done === rows.length;
    ctx.text(go, t("retry"));
    ctx.text(stop, t("close"));
  }
  return [said, h("div", { class: "table-wrap" }, h("table", { class: "changes" }, h("thead", null, head), h("tbody", null, rows.map((item) => item.row)))), h("div", { class: "buttons" }, stop, go)];
}
