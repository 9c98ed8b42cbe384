// What the parts of the overview share. What `ctx` has is told in app.js.

export const card = (ctx, name, ...children) =>
  ctx.h("section", { class: "card " + name, "aria-labelledby": "h-" + name }, ctx.h("h2", { id: "h-" + name }, ctx.t(name)), ...children);

export const signed = (ctx, value, digits, unit) => (value > 0 ? "+" : "") + ctx.number(value, digits, unit);
export const milli = (value) => (value === null || value === undefined ? null : value / 1000);
export const watts = (known) => (known?.voltage_mv == null || known.current_ma == null ? null : (known.voltage_mv / 1000) * (known.current_ma / 1000));

/** Power in W or kW, as one reads it. */
export const power = (ctx, value) =>
  value === null ? ctx.number(null) : Math.abs(value) >= 1000 ? ctx.number(value / 1000, 2, "kW") : ctx.number(value, 0, "W");
