// What raises an alert: a form made of GET /api/alerts/config, with the ranges of /api/config/schema.
import { trouble } from "./alerts.js";

// name of the switch (NAME_enabled), key of its limit, unit shown, by what the value is divided, digits
const RULES = [
  ["temp_high", "temperature_max_c", "°C", 1, 0],
  ["temp_low", "temperature_min_c", "°C", 1, 0],
  ["cell_volt_high", "cell_voltage_max_mv", "V", 1000, 3],
  ["cell_volt_low", "cell_voltage_min_mv", "V", 1000, 3],
  ["imbalance", "imbalance_max_mv", "mV", 1, 0],
  ["pack_volt_high", "pack_voltage_max_mv", "V", 1000, 3],
  ["pack_volt_low", "pack_voltage_min_mv", "V", 1000, 3],
  ["discharge_current", "discharge_current_max_ma", "A", 1000, 3],
  ["charge_current", "charge_current_max_ma", "A", 1000, 3],
  ["soc_low", "soc_min_percent", "%", 1, 0],
  ["soc_high", "soc_max_percent", "%", 1, 0],
];
const SWITCHES = ["monitor_tinybms_events", "monitor_status_changes"];

/** {card with the form, promise of its being filled}. */
export function configForm(ctx) {
  const { h, t, api } = ctx;
  const inner = h("div", { class: "inner" }, h("p", { class: "quiet" }, t("loading")));

  async function read() {
    try {
      const [values, schema] = await Promise.all([api.get("/api/alerts/config"), api.get("/api/config/schema")]);
      const ranges = new Map(schema.filter((row) => row.key.startsWith("alerts.")).map((row) => [row.key.slice(7), row]));
      inner.replaceChildren(new Form(ctx, values, ranges).element);
    } catch (error) {
      if (!ctx.signal.aborted) inner.replaceChildren(trouble(ctx, error, read));
    }
  }
  return { card: h("section", { class: "card config" }, h("h2", null, t("config")), inner), ready: read() };
}

class Form {
  constructor(ctx, values, ranges) {
    Object.assign(this, { ctx, t: ctx.t, values, ranges, fields: new Map() });
    const { h } = ctx;
    this.said = h("p", { class: "said", role: "alert" });
    this.save = h("button", { class: "primary", disabled: true }, this.t("save"));
    this.undo = h("button", { type: "button", disabled: true, onclick: () => this.fill() }, this.t("undo"));
    const general = h("div", { class: "general" }, [ "enabled", ...SWITCHES].map((key) => this.tick(key)), this.number("debounce_sec", "s", 1, 0));
    const rules = h("div", { class: "rules" }, RULES.map((rule) => this.rule(...rule)));
    this.element = h(
      "form",
      { novalidate: true, onsubmit: (event) => this.submit(event), oninput: (event) => this.changed(event.target) },
      general,
      rules,
      this.said,
      h("div", { class: "buttons" }, this.save, this.undo),
    );
    this.fill();
    ctx.dirty(() => this.differing().size > 0);
  }

  /** A switch: a box with its words. `words`: when they are not those of the key. */
  tick(key, words = key) {
    const { h } = this.ctx;
    const box = h("input", { type: "checkbox", id: "alert-" + key, name: key });
    this.fields.set(key, { input: box, get: () => box.checked, set: (value) => (box.checked = value), check: () => "" });
    return h("label", { class: "tick" }, box, h("span", null, this.t(words)));
  }

  number(key, unit, divisor, digits, label) {
    const { h } = this.ctx;
    const { min, max } = this.ranges.get(key) || {};
    const places = (value) => [0, 1, 2].find((n) => (value * 10 ** n) % divisor === 0) ?? digits;
    const shown = (value) => this.ctx.number(value / divisor, places(value));
    const range = { min: shown(min), max: shown(max) + " " + unit };
    const hint = min === undefined ? "" : this.t("range", range);
    const said = h("small", { id: `alert-${key}-said` }, hint);
    const input = h("input", {
      type: "number", id: "alert-" + key, name: key, step: 1 / divisor, required: true, inputmode: "decimal",
      min: min === undefined ? null : min / divisor, max: max === undefined ? null : max / divisor,
      "aria-describedby": said.id, "aria-label": label ? this.t("limit.of", { name: this.t(label) }) : null,
    }); // prettier-ignore
    const check = () => (input.checkValidity() ? "" : this.t("bad", range));
    this.fields.set(key, {
      input,
      said,
      hint,
      check,
      get: () => (input.value === "" ? null : Math.round(Number(input.value) * divisor)),
      set: (value) => (input.value = value / divisor),
    });
    const entry = h("span", { class: "entry" }, input, h("span", { class: "quiet" }, unit));
    return h("div", { class: "field" }, label ? null : h("label", { for: "alert-" + key }, this.t(key)), entry, said);
  }

  rule(name, key, unit, divisor, digits) {
    const { h } = this.ctx;
    return h("div", { class: "rule" }, this.tick(name + "_enabled", name), this.number(key, unit, divisor, digits, name));
  }

  fill() {
    for (const [key, field] of this.fields) {
      field.set(this.values[key]);
      this.complain(field, "");
    }
    this.changed();
    this.ctx.text(this.said, "");
  }

  complain(field, words) {
    if (field.said) {
      this.ctx.text(field.said, words || field.hint);
      field.said.classList.toggle("said", words !== "");
    }
    this.ctx.attr(field.input, "aria-invalid", words ? "true" : null);
  }

  /** {key: value} of what differs from the gateway's. */
  differing() {
    return new Map([...this.fields].map(([key, field]) => [key, field.get()]).filter(([key, value]) => value !== this.values[key]));
  }

  /** Something differs now, or not any more; `input` is what was typed into. */
  changed(input) {
    const some = this.differing().size > 0;
    this.save.disabled = this.undo.disabled = !some;
    const typed = this.fields.get(input?.name);
    if (typed?.said?.classList.contains("said") && !typed.check()) this.complain(typed, "");
    for (const [name] of RULES) {
      const on = this.fields.get(name + "_enabled");
      on.input.closest(".rule").dataset.off = on.get() ? "" : "1";
    }
  }

  async submit(event) {
    event.preventDefault();
    const wrong = [...this.fields.values()].filter((field) => (this.complain(field, field.check()), field.check()));
    if (wrong.length) return wrong[0].input.focus();
    const changes = Object.fromEntries(this.differing());
    this.save.disabled = true;
    this.ctx.text(this.said, "");
    try {
      await this.ctx.api.post("/api/alerts/config", changes);
      Object.assign(this.values, changes);
      this.ctx.toast(this.t("saved"), "good");
    } catch (error) {
      if (this.ctx.signal.aborted) return;
      this.refused(error);
    }
    this.changed();
  }

  /** The gateway said no: beside the field when it names one. */
  refused(error) {
    const name = String(error.details || "").split(" ")[0].replace(/^alerts[._]/, "");
    const field = this.fields.get(name);
    this.ctx.text(this.said, this.ctx.errorText(error));
    if (!field) return;
    this.complain(field, this.ctx.said(error.details));
    field.input.focus();
  }
}
