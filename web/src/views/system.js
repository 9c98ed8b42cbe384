// System: what runs, the log, restarts. What `ctx` has is told in app.js.
import { card, list, sayRestart } from "./form.js";
import { copy } from "./save.js";
import { updateCard } from "./update.js";
export { texts } from "./system_texts.js";

const LEVELS = ["debug", "info", "warning", "error"];
const FOLLOW_MS = 3000;

export function mount(root, ctx) {
  const parts = [aboutCard(ctx), updateCard(ctx), restartCard(ctx), memoryCard(ctx), tasksCard(ctx)];
  root.append(ctx.h("div", { class: "wall" }, parts), logCard(ctx));
}

function aboutCard(ctx) {
  const { t, h, api } = ctx;
  const known = (prefix, word) => (t(prefix + word) === prefix + word ? word : t(prefix + word));
  return card(ctx, "about", async (inner) => {
    const info = await api.get("/api/system/info");
    const { slots } = info;
    const other = slots && Object.entries(slots.versions).find(([name]) => name !== slots.running);
    const bad = (words) => words && h("p", { class: "notice", dataset: { tone: "bad" } }, words);
    const setClock = async (event) => {
      event.target.disabled = true;
      if (await ctx.attempt(() => api.post("/api/system/time", { timestamp_ms: Date.now() }))) ctx.toast(t("clock.done"), "good");
    };
    inner.replaceChildren(
      ...[
        bad(info.safe_mode && `${t("safe_mode")}: ${ctx.said(info.safe_mode)}`),
        bad(info.config_problem && `${t("config_problem")}: ${ctx.said(info.config_problem)}`),
        bad(slots?.failed && `${t("failed", { version: slots.failed.version })}: ${ctx.said(slots.failed.reason)}`),
      ].filter(Boolean),
      list(ctx, [
        [t("version"), `${info.version}${info.slot ? ` (${info.slot}${slots.trial ? ", " + t("trial") : ""})` : ""}`],
        other && [t("other"), other[1] ? `${other[1]} (${other[0]})` : t("empty")],
        ["MicroPython", `${info.firmware.replace(/^.*MicroPython /, "")}, ${info.chip}`],
        [t("hostname"), info.hostname],
        ["MAC", info.mac.match(/../g)?.join(":")],
        [t("uptime"), ctx.duration(info.uptime_ms)],
        [t("time"), `${info.time_valid ? ctx.dateTime(info.timestamp_ms) : t("time.unset")} (${known("source.", info.time_source)})`],
        [t("reset_cause"), known("reset.", info.reset_cause)],
        [t("boot_count"), ctx.number(info.boot_count)],
        [t("last_exception"), info.last_exception ? h("code", null, info.last_exception) : t("none")],
      ]),
    );
    if (!info.time_valid) inner.append(h("div", { class: "buttons" }, h("button", { type: "button", onclick: setClock }, t("clock.set"))));
  }, { height: 300 }); // prettier-ignore
}

function memoryCard(ctx) {
  const { t, api } = ctx;
  const { bytes, number } = ctx;
  return card(ctx, "memory", async (inner) => {
    const read = async () => {
      const [now, bus] = [await api.get("/api/metrics/runtime"), await api.get("/api/event-bus/metrics")];
      const pairs = [
        [t("heap.free"), bytes(now.free_heap)], [t("heap.min"), bytes(now.min_heap_ever)], [t("heap.block"), bytes(now.largest_free_block)],
        [t("cpu"), number(now.cpu_usage_percent, 0, "%")], [t("bus.events"), number(bus.total_publishes)], [t("bus.subscribers"), number(bus.active_subscriptions)],
        [t("bus.queue"), `${number(bus.queue_length)} / ${number(bus.queue_max)}`], [t("bus.dropped"), number(bus.dropped_events)],
      ]; // prettier-ignore
      inner.replaceChildren(list(ctx, pairs));
    };
    await read();
    ctx.on("state", () => ctx.attempt(read, { quiet: true })); // each ten seconds
  }, { height: 270 }); // prettier-ignore
}

function tasksCard(ctx) {
  const { h, t, api } = ctx;
  return card(ctx, "tasks", async (inner) => {
    const { tasks } = await api.get("/api/system/tasks");
    const item = (task) => h("li", null, h("span", { class: "mono" }, task.name), " ", h("span", { class: "badge", dataset: { tone: ["Blocked", "Ready", "Running"].includes(task.state) ? "good" : "bad" } }, t("task." + task.state) === "task." + task.state ? task.state : t("task." + task.state)));
    inner.replaceChildren(h("ul", { class: "tasks" }, tasks.map(item)));
  });
}

function restartCard(ctx) {
  const { h, t, api } = ctx;
  const place = h("div", { class: "notice", role: "status" });

  async function gateway() {
    if (!(await ctx.confirm({ title: t("gateway.title"), text: t("gateway.text"), action: t("gateway.go"), danger: true }))) return;
    if (await ctx.attempt(() => api.post("/api/system/restart", { target: "gateway" }))) sayRestart(ctx, place);
  }

  async function bms() {
    if (!(await ctx.confirm({ title: t("bms.title"), text: [t("bms.text"), t("bms.dark")], action: t("bms.next"), danger: true }))) return;
    const now = ctx.live.known;
    const load = now && !ctx.live.stale() ? t("bms.load", { current: ctx.number(now.current_ma / 1000, 1, "A") }) : t("bms.unknown");
    if (!(await ctx.confirm({ title: t("bms.really"), text: [load, t("bms.last")], action: t("bms.go"), danger: true }))) return;
    const done = await ctx.attempt(() => api.post("/api/system/restart", { target: "bms" }));
    if (!done) return;
    if (done.gateway_restart) return sayRestart(ctx, place, t("bms.silent"));
    place.dataset.tone = done.status === "throttled" ? "warn" : "good";
    place.replaceChildren(t(done.status === "throttled" ? "bms.throttled" : "bms.done"));
  }

  return card(ctx, "restart", (inner) =>
    inner.replaceChildren(
      h("p", null, t("gateway.about")),
      h("div", { class: "buttons" }, h("button", { type: "button", onclick: gateway }, t("gateway.go"))),
      h("hr"),
      h("p", null, t("bms.about")),
      h("div", { class: "buttons" }, h("button", { type: "button", class: "danger", onclick: bms }, t("bms.go"))),
      place,
    ),
  );
}

function logCard(ctx) {
  const { h, t, api } = ctx;
  let asked = false;
  const fill = async (inner) => {
    let lines = [];
    const body = h("ol", { class: "lines mono", tabindex: 0, "aria-label": t("card.log") });
    const level = h("select", { id: "log-level", onchange: () => draw() }, LEVELS.map((name) => h("option", { value: name, selected: name === "info" }, t("level." + name))));
    const follow = h("input", { type: "checkbox", id: "log-follow" });
    const read = async () => {
      lines = (await api.get("/api/system/logs")).lines;
      draw();
    };
    const draw = () => {
      const shown = lines.filter((line) => LEVELS.indexOf(line.level) >= LEVELS.indexOf(level.value));
      const end = body.scrollHeight - body.scrollTop - body.clientHeight < 40;
      body.replaceChildren(...shown.map((line) => h("li", { dataset: { level: line.level } }, h("time", null, ctx.time(line.timestamp_ms)), ` ${line.level} ${line.source}: ${line.text}`)));
      if (!shown.length) body.append(h("li", { class: "quiet" }, t("log.empty")));
      if (end || follow.checked) body.scrollTop = body.scrollHeight;
    };
    const take = async () => ctx.toast((await copy([...body.children].map((line) => line.textContent).join("\n"))) ? t("log.copied") : t("log.nocopy"), "good");
    if (!api.authorization() && !asked) {
      // nobody shall be asked for a password by just opening this view
      const { password_set } = await api.get("/api/auth/status");
      const ask = h("button", { type: "button", onclick: () => ((asked = true), ctx.attempt(() => fill(inner))) }, t("log.show"));
      return inner.replaceChildren(h("p", null, t("log.password"), " ", password_set ? ask : h("a", { href: "#/setup" }, t("form.password"))));
    }
    await read();
    inner.replaceChildren(
      h("div", { class: "form tools" }, h("label", { for: level.id }, t("log.level")), level, h("label", { class: "tick", for: follow.id }, follow, h("span", null, t("log.follow"))), h("button", { type: "button", onclick: () => ctx.attempt(read) }, t("log.read")), h("button", { type: "button", onclick: take }, t("log.copy"))),
      body,
    );
    draw();
    body.scrollTop = body.scrollHeight;
    ctx.every(FOLLOW_MS, () => follow.checked && ctx.attempt(read, { quiet: true }));
  };
  return card(ctx, "log", fill);
}
