// Forms made of GET /api/config/schema: one field a key, ranges and units beside it, what the gateway refuses at the field.

const MASK = "********"; // a secret that is set
// ending of a key, unit that people read, by what the value is divided
const UNITS = [["_mv", "V", 1000], ["_ma", "A", 1000], ["_ms", "ms", 1], ["_sec", "s", 1], ["_timeout_s", "s", 1], ["keepalive", "s", 1], ["_min", "min", 1], ["_percent", "%", 1], ["_soc", "%", 1], ["_c", "°C", 1]]; // prettier-ignore
const NUMBERS = ["int"];

/** {"wifi.ssid": value} of the nested object of GET /api/config. */
export function flat(object, prefix = "", found = {}) {
  for (const [name, value] of Object.entries(object)) {
    if (value !== null && typeof value === "object" && !Array.isArray(value)) flat(value, prefix + name + ".", found);
    else found[prefix + name] = value;
  }
  return found;
}

/** The nested object of [["wifi.ssid", value], ...]. */
export function nested(changes) {
  const result = {};
  for (const [key, value] of changes) {
    const names = key.split(".");
    const last = names.pop();
    names.reduce((place, name) => (place[name] = place[name] || {}), result)[last] = value;
  }
  return result;
}

const unitOf = (key) => UNITS.find(([ending]) => key.endsWith(ending)) || ["", "", 1];
const known = (ctx, key) => (ctx.t(key) === key ? "" : ctx.t(key));

/** A value of a key as people read it. */
export function shown(ctx, row, value) {
  if (value === undefined || value === null) return "–";
  if (row?.secret) return value ? "••••" : ctx.t("form.none");
  if (typeof value === "boolean") return ctx.t(value ? "form.on" : "form.off");
  if (row?.choices) return known(ctx, `${row.key}.${value}`) || String(value);
  if (typeof value !== "number") return value === "" ? ctx.t("form.none") : value;
  const [, unit, divisor] = row ? unitOf(row.key) : ["", "", 1];
  return [row?.or_zero && value === 0 ? ctx.t("form.zero") : plain(ctx, value / divisor), unit && !(row.or_zero && value === 0) && unit].filter(Boolean).join(" ");
}

/** A number without needless zeros. */
export const plain = (ctx, value) => ctx.number(value, 3).replace(/([.,]\d*?)0+$/, "$1").replace(/[.,]$/, "");

/** Form over `keys`: `sections` [[heading key or "", [keys]]]; `save(changes)` gets a Map {key: value} and stores it, false: not done.
 *  `extra` elements come before the buttons. `element` is the form, `differing()` a Map. */
export class Form {
  constructor(ctx, { rows, values, sections, save, extra = [], action = "form.save" }) {
    Object.assign(this, { ctx, t: ctx.t, rows, values, store: save, fields: new Map() });
    const { h } = ctx;
    this.said = h("p", { class: "said", role: "alert" });
    this.go = h("button", { class: "primary", disabled: true }, this.t(action));
    this.undo = h("button", { type: "button", disabled: true, onclick: () => this.fill() }, this.t("form.undo"));
    const parts = sections.flatMap(([heading, keys]) => {
      const there = keys.filter((key) => rows.has(key) && key in values);
      return there.length ? [heading && h("h3", null, this.t(heading)), h("div", { class: "fields" }, there.map((key) => this.field(rows.get(key))))] : [];
    });
    this.buttons = h("div", { class: "buttons" }, this.go, this.undo);
    this.element = h(
      "form",
      { class: "form", novalidate: true, onsubmit: (event) => this.submit(event), oninput: () => this.changed(), onchange: () => this.changed() },
      parts, extra, this.said, this.buttons,
    ); // prettier-ignore
    this.fill();
  }

  field(row) {
    const { h } = this.ctx;
    const id = "f-" + row.key.replaceAll(".", "-");
    const words = known(this.ctx, row.key) || row.key;
    const help = known(this.ctx, row.key + ".help");
    const restart = row.restart && h("span", { class: "badge", dataset: { tone: "info" }, title: this.t("form.restart.title") }, this.t("form.restart"));
    const said = h("small", { id: id + "-said" });
    const field = { row, said, help };
    this.fields.set(row.key, field);
    if (row.type === "bool") {
      const box = h("input", { type: "checkbox", id, name: row.key, "aria-describedby": said.id });
      Object.assign(field, { input: box, get: () => box.checked, set: (value) => (box.checked = value), check: () => "", hint: help });
      return h("div", { class: "field" }, h("label", { class: "tick", for: id }, box, h("span", null, words), restart), said);
    }
    const entry = row.choices ? this.choice(field, id) : NUMBERS.includes(row.type) ? this.number(field, id) : this.text(field, id);
    return h("div", { class: "field" }, h("label", { for: id }, words, restart), entry, said);
  }

  choice(field, id) {
    const { h } = this.ctx;
    const { row } = field;
    const name = (value) => known(this.ctx, `${row.key}.${value}`) || (typeof value === "number" ? this.ctx.number(value) : value);
    const select = h("select", { id, name: row.key, "aria-describedby": field.said.id }, row.choices.map((value, i) => h("option", { value: i }, name(value))));
    Object.assign(field, { input: select, hint: field.help, check: () => "", get: () => row.choices[select.value], set: (value) => (select.value = row.choices.indexOf(value)) });
    return h("span", { class: "entry" }, select);
  }

  number(field, id) {
    const { h } = this.ctx;
    const { row } = field;
    const [, unit, divisor] = unitOf(row.key);
    const range = { min: plain(this.ctx, row.min / divisor), max: plain(this.ctx, row.max / divisor) + (unit && "\u00a0" + unit) };
    const words = this.t(row.or_zero ? "form.range.zero" : "form.range", range);
    const input = h("input", { type: "number", id, name: row.key, step: divisor === 1 ? 1 : 0.001, inputmode: row.min < 0 ? null : "decimal", "aria-describedby": field.said.id });
    const get = () => (input.value === "" ? null : divisor === 1 ? Number(input.value) : Math.round(Number(input.value) * divisor));
    const check = () => {
      const value = get();
      const good = Number.isInteger(value) && ((value >= row.min && value <= row.max) || (row.or_zero && value === 0));
      return good ? "" : this.t("form.bad", { range: words });
    };
    Object.assign(field, { input, hint: [words, field.help].filter(Boolean).join(". "), get, check, set: (value) => (input.value = value / divisor) });
    return h("span", { class: "entry" }, input, unit && h("span", null, unit));
  }

  text(field, id) {
    const { h, t } = this.ctx;
    const { row } = field;
    const input = h("input", {
      type: row.secret ? "password" : "text", id, name: row.key, autocomplete: row.secret ? "new-password" : "off", spellcheck: "false",
      autocapitalize: "off", "aria-describedby": field.said.id,
    }); // prettier-ignore
    let gone = false;
    let before = "";
    const remove = row.secret && h("button", { type: "button", onclick: () => ((gone = !gone), (input.value = ""), draw(), this.changed()) });
    const draw = () => {
      if (!row.secret) return;
      remove.hidden = !before;
      this.ctx.text(remove, t(gone ? "form.keep" : "form.remove"));
      input.placeholder = before ? t(gone ? "form.removed" : "form.isset") : "";
      input.disabled = gone;
    };
    const set = (value) => {
      before = value;
      gone = false;
      input.value = row.secret ? "" : value;
      draw();
    };
    const get = () => (row.secret ? input.value || (gone ? "" : before) : input.value.trim());
    const check = () => {
      const size = new TextEncoder().encode(get()).length;
      if (row.min === undefined || get() === MASK || (row.secret && !size)) return "";
      return size < row.min || size > row.max ? t("form.length", row) : "";
    };
    Object.assign(field, { input, hint: field.help, get, set, check });
    return h("span", { class: "entry" }, input, remove || null);
  }

  fill() {
    for (const [key, field] of this.fields) {
      field.set(this.values[key]);
      this.complain(field, "");
    }
    this.ctx.text(this.said, "");
    this.changed();
  }

  /** Put a value into a field as if somebody had typed it. */
  put(key, value) {
    const field = this.fields.get(key);
    if (!field) return;
    field.set(value);
    this.changed();
  }

  complain(field, words) {
    field.bad = words !== "";
    this.ctx.text(field.said, words || field.hint || "");
    field.said.classList.toggle("said", field.bad);
    this.ctx.attr(field.input, "aria-invalid", field.bad ? "true" : null);
    field.seen = field.get();
  }

  /** Map {key: value} of what differs from the gateway's. */
  differing() {
    return new Map([...this.fields].map(([key, field]) => [key, field.get()]).filter(([key, value]) => value !== this.values[key]));
  }

  changed() {
    this.go.disabled = this.undo.disabled = this.differing().size === 0;
    for (const field of this.fields.values()) if (field.bad && field.get() !== field.seen && !field.check()) this.complain(field, "");
    this.onchange?.();
  }

  /** True when all that was changed can be sent; else the first bad field has the focus. */
  good() {
    const wrong = [...this.differing().keys()].map((key) => this.fields.get(key)).filter((field) => (this.complain(field, field.check()), field.bad));
    wrong[0]?.input.focus();
    return wrong.length === 0;
  }

  async submit(event) {
    event?.preventDefault();
    this.ctx.text(this.said, "");
    if (!this.good()) return false;
    const changes = this.differing();
    this.go.disabled = true;
    let done;
    try {
      done = await this.store(changes);
      if (done !== false) {
        for (const [key, value] of changes) this.values[key] = this.rows.get(key).secret && value ? MASK : value;
        this.fill();
      }
    } catch (error) {
      if (this.ctx.signal.aborted) return false;
      this.refused(error);
      done = false;
    }
    this.changed();
    return done !== false;
  }

  /** The gateway said no: beside the field when its details name one. */
  refused(error) {
    const [name] = String(error.details || "").split(" ");
    const key = [...this.fields.keys()].find((one) => one.replaceAll(".", "_") === name || one.split(".").slice(1).join("_") === name);
    this.ctx.text(this.said, this.ctx.errorText(error));
    if (!key) return;
    const field = this.fields.get(key);
    this.complain(field, this.ctx.said(error.details.slice(name.length + 1)));
    field.input.focus();
  }
}

/** The rows of the schema by key. */
export const rowsOf = (schema) => new Map(schema.map((row) => [row.key, row]));

/** A card that fills itself: `fill(inner)` draws; what it throws is shown with a button that tries again. */
export function card(ctx, name, fill, { height = 80 } = {}) {
  const { h, t } = ctx;
  const inner = h("div", { style: { "min-height": height + "px" } }, h("p", { class: "quiet" }, t("loading")));
  const run = async () => {
    try {
      await fill(inner);
    } catch (error) {
      if (ctx.signal.aborted) return;
      if (!(error instanceof ctx.ApiError)) console.error(error);
      inner.replaceChildren(h("p", { role: "alert" }, ctx.errorText(error)), h("div", { class: "buttons" }, h("button", { type: "button", onclick: run }, t("form.again"))));
    }
  };
  run();
  return h("section", { class: "card", id: "card-" + name, "aria-labelledby": "h-" + name }, h("h2", { id: "h-" + name }, t("card." + name)), inner);
}

/** Label and value, one under the other. */
export const list = (ctx, pairs) => ctx.h("dl", { class: "rows" }, pairs.filter(Boolean).map(([label, value]) => ctx.h("div", null, ctx.h("dt", null, label), ctx.h("dd", null, value))));

const ASK_MS = 1000;
const STILL_MS = 15000; // one that answers so long after the request does not restart

/** Wait until the gateway has restarted; call it right after the request. Gives its /api/system/info, "still" when it did not
 *  restart, or null when it does not come back in `limit` ms. */
export async function waitBack(ctx, limit = 120000) {
  const started = performance.now();
  while (performance.now() - started < limit && !ctx.signal.aborted) {
    await new Promise((done) => setTimeout(done, ASK_MS));
    const info = await ctx.attempt(() => ctx.api.get("/api/system/info", { timeout: 4000 }), { quiet: true });
    const since = performance.now() - started;
    if (info && info.uptime_ms < since) return info;
    if (info && since > STILL_MS) return "still";
  }
  return null;
}

/** Say in `place` that the gateway restarts, and how that ends. Gives what waitBack gives. */
export async function sayRestart(ctx, place, words = "") {
  const { h, t } = ctx;
  const say = (tone, text, ...more) => {
    place.dataset.tone = tone;
    place.replaceChildren(words && words + " ", text, ...more);
  };
  say("info", t("form.restarting"));
  const info = await waitBack(ctx);
  if (ctx.signal.aborted) return info;
  if (info === null) say("bad", t("form.gone"));
  else if (info !== "still") say("good", t("form.back", { version: info.version }));
  else {
    const again = async () => {
      if (await ctx.attempt(() => ctx.api.post("/api/system/restart", { target: "gateway" }))) sayRestart(ctx, place, words);
    };
    say("warn", t("form.still"), " ", h("button", { type: "button", onclick: again }, t("form.restart.now")));
  }
  return info;
}
