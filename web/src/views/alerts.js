// Alerts: what is active, the log with its statistics, and what raises an alert. What `ctx` has is told in app.js.
import { configForm } from "./alerts_config.js";
export { texts } from "./alerts_texts.js";

const PAGE = 20;
const CALM_MS = 2500; // between two readings of the log, however many alerts come
const OVER = 2; // status
const TONES = ["info", "warn", "bad"]; // of a severity

const PATIENCE_MS = 1000;

/** The parts are shown together, as high as they will be: a gateway that is slow is waited for only so long. */
export async function mount(root, ctx) {
  const { h } = ctx;
  const log = logCard(ctx);
  const active = activeCard(ctx, log.changed);
  const config = configForm(ctx);
  root.append(h("p", { class: "quiet" }, ctx.t("loading")));
  await Promise.race([Promise.all([active.ready, log.ready, config.ready]), new Promise((done) => setTimeout(done, PATIENCE_MS))]);
  root.replaceChildren(h("div", { class: "stack" }, active.card, log.card, log.statistics), config.card);
  return log.end;
}

const severity = (ctx, alert) => ctx.h("span", { class: "badge", dataset: { tone: TONES[alert.severity] } }, ctx.t("severity" + alert.severity));

/** The active alerts. They are read once, then the socket tells. */
function activeCard(ctx, changed) {
  const { h, t, api, live } = ctx;
  const all = h("button", { type: "button", disabled: true, onclick: () => acknowledge("", all) }, t("ack.all"));
  const list = h("ul", { class: "active" });
  const empty = h("p", { class: "quiet" }, t("loading"));
  let alerts = null;
  let drawn = "";

  async function acknowledge(id, button) {
    button.disabled = true;
    const done = await ctx.attempt(() => api.post("/api/alerts/acknowledge" + (id && "/" + id)));
    if (done) {
      ctx.toast(id ? t("ack.done") : t("ack.all.done", { n: done.acknowledged_count }), "good");
      await read();
      changed();
    } else button.disabled = false;
  }

  const item = (alert) =>
    h(
      "li",
      { dataset: { id: alert.alert_id } },
      severity(ctx, alert),
      h("p", null, h("b", null, alert.message), " ", h("small", { class: "quiet num" }, "")),
      alert.status === 0
        ? h("button", { type: "button", "aria-label": t("ack.name", { message: alert.message }), onclick: (event) => acknowledge(alert.alert_id, event.currentTarget) }, t("ack"))
        : h("span", { class: "badge" }, t("status1")),
    );

  function draw() {
    if (!alerts) return;
    const now = JSON.stringify(alerts);
    if (now !== drawn) {
      drawn = now;
      list.replaceChildren(...alerts.map(item));
      all.disabled = !alerts.some((alert) => alert.status === 0);
    }
    ctx.text(empty, alerts.length ? "" : t("none"));
    const clock = live.battery?.timestamp_ms ?? Date.now();
    for (const [i, alert] of alerts.entries()) {
      const age = ctx.between(alert.timestamp_ms, clock);
      ctx.text(list.children[i].querySelector("small"), `${ctx.time(alert.timestamp_ms)} · ${t("since", { age })}`);
    }
  }

  async function read() {
    try {
      alerts = (await api.get("/api/alerts/active?lang=" + ctx.lang)).alerts;
      draw();
    } catch (error) {
      if (ctx.signal.aborted) return;
      empty.replaceChildren(trouble(ctx, error, read));
    }
  }

  const hear = (message) => {
    alerts = message.alerts ?? [...(message.alert.status < OVER ? [message.alert] : []), ...(alerts || []).filter((other) => other.alert_id !== message.alert.alert_id)];
    draw();
    changed();
  };
  ctx.on("alerts", hear);
  ctx.on("alert", hear);
  const ready = read();
  ctx.onLive(draw);
  return { card: h("section", { class: "card" }, h("header", null, h("h2", null, t("active")), all), list, empty), ready };
}

/** The log, a page at a time, and its statistics. */
function logCard(ctx) {
  const { h, t, api } = ctx;
  let offset = 0;
  let page = null; // the last answer
  let timer = 0;
  let read_at = -Infinity;
  const body = h("tbody", { role: "rowgroup" });
  const said = h("p", { class: "quiet", role: "status" }, t("loading"));
  const newer = h("button", { type: "button", disabled: true, onclick: () => turn(-PAGE) }, "‹ ", t("newer"));
  const older = h("button", { type: "button", disabled: true, onclick: () => turn(PAGE) }, t("older"), " ›");
  const clear = h("button", { type: "button", class: "danger", disabled: true, onclick: ask }, t("clear"));
  const figures = ["total_alerts", "critical_count", "warning_count", "info_count", "active_alert_count", "avg_acknowledgment_time_ms"].map((key) => [key, h("dd", null, "–")]);
  const names = ["total", "critical", "warnings", "infos", "now", "mean"];

  const head = ["when", "severity", "message", "course"].map((key) => h("th", { scope: "col", role: "columnheader" }, t(key)));
  const table = h("table", { role: "table", "aria-label": t("history") }, h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, head)), body);
  const card = h("section", { class: "card log" }, h("header", null, h("h2", null, t("history")), clear), table, h("div", { class: "pages" }, newer, said, older));
  const statistics = h("section", { class: "card" }, h("h2", null, t("statistics")), h("dl", { class: "figures" }, figures.map(([, value], i) => h("div", null, h("dt", null, t(names[i])), value))));

  function course(alert) {
    const after = (ms) => ctx.between(alert.timestamp_ms, ms);
    const words = [];
    if (alert.ack_timestamp_ms !== null) words.push(t("acked.at", { age: after(alert.ack_timestamp_ms) }));
    if (alert.clear_timestamp_ms !== null) {
      words.push(alert.clear_timestamp_ms === alert.timestamp_ms ? t("over.once") : t("over.at", { age: after(alert.clear_timestamp_ms) }));
    }
    return words.join(", ") || t("status" + alert.status);
  }

  function draw() {
    const cell = (...content) => h("td", { role: "cell" }, ...content);
    body.replaceChildren(
      ...page.alerts.map((alert) =>
        h("tr", { role: "row", dataset: { id: alert.alert_id, status: alert.status } }, cell(h("time", { class: "num" }, ctx.time(alert.timestamp_ms))), cell(severity(ctx, alert)), cell(alert.message), cell(course(alert))),
      ),
    );
    const last = offset + page.alerts.length;
    ctx.text(said, page.total ? t("page", { first: Math.min(offset + 1, last), last, total: page.total }) : t("history.none"));
    newer.disabled = offset === 0;
    older.disabled = last >= page.total;
    clear.disabled = page.total === 0;
  }

  async function read() {
    clearTimeout(timer);
    timer = 0;
    read_at = performance.now();
    try {
      page = await api.get(`/api/alerts/history?lang=${ctx.lang}&limit=${PAGE}&offset=${offset}`);
      draw();
      const found = await api.get("/api/alerts/statistics");
      for (const [key, value] of figures) {
        const mean = key.startsWith("avg");
        ctx.text(value, mean ? (found[key] ? ctx.duration(found[key]) : "–") : ctx.number(found[key]));
      }
    } catch (error) {
      if (!ctx.signal.aborted) said.replaceChildren(trouble(ctx, error, read));
    }
  }

  function turn(by) {
    offset = Math.max(0, offset + by);
    return read();
  }

  async function ask() {
    const active = ctx.live.alerts.length;
    const go = await ctx.confirm({ title: t("clear.title"), text: t("clear.text", { n: Math.max(0, page.total - active) }), action: t("clear"), danger: true });
    if (!go) return;
    const done = await ctx.attempt(() => api.delete("/api/alerts/history"));
    if (!done) return;
    ctx.toast(t("clear.done", { n: done.deleted_count }), "good");
    offset = 0;
    read();
  }

  /** Something came: what is shown of the newest is read again, soon. */
  const changed = () => {
    if (!timer && offset === 0) timer = setTimeout(read, Math.max(300, read_at + CALM_MS - performance.now()));
  };
  return { card, statistics, changed, ready: read(), end: () => clearTimeout(timer) };
}

/** The text of an error, with a button that tries again. */
export function trouble(ctx, error, again) {
  return ctx.h("span", { role: "alert", class: "trouble" }, ctx.errorText(error) + " ", ctx.h("button", { type: "button", onclick: again }, ctx.t("again")));
}
