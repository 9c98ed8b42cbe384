// MQTT: how the connection is, its settings, and a test of settings that are not stored. What `ctx` has is told in app.js.
import { card, flat, Form, list, nested, rowsOf } from "./form.js";
export { texts } from "./mqtt_texts.js";

const STAGES = ["config", "dns", "tcp", "tls", "mqtt", "credentials"];
const SECTIONS = [
  ["", ["broker_uri", "port", "username", "password", "client_id", "keepalive", "default_qos", "retain"]],
  ["tls", ["ca_cert_path", "client_cert_path", "client_key_path", "verify_hostname"]],
  ["topics", ["topics.status", "topics.metrics", "topics.config", "topics.alerts"]],
  ["can", ["can_raw_enabled", "can_decoded_enabled", "can_ready_enabled", "topics.can_raw", "topics.can_decoded", "topics.can_ready"]],
  ["home", ["home_assistant.enabled", "home_assistant.prefix"]],
  ["commands", ["commands.acknowledge", "commands.limits", "commands.config", "commands.registers", "commands.restart_bms", "commands.restart_gateway", "override_timeout_s"]],
].map(([heading, keys]) => [heading && "head." + heading, keys.map((key) => "mqtt." + key)]);

export function mount(root, ctx) {
  let read = () => {};
  const status = card(ctx, "status", async (inner) => {
    read = async () => draw(inner, await ctx.api.get("/api/mqtt/status"));
    await read();
  }, { height: 190 }); // prettier-ignore
  const settings = card(ctx, "settings", (inner) => fillSettings(ctx, inner, () => setTimeout(refresh, 1500)), { height: 500 });
  const refresh = () => ctx.attempt(() => read(), { quiet: true });
  root.append(status, settings);
  ctx.on("system_event", (message) => message.event.startsWith("MQTT_") && refresh());
  ctx.on("state", refresh); // each ten seconds, and when something has changed

  function draw(inner, now) {
    const { h, t } = ctx;
    const [tone, words] = !now.enabled ? ["", "off"] : now.connected ? ["good", "connected"] : ["bad", "disconnected"];
    const figure = (name, value) => h("div", null, h("dt", null, t(name)), h("dd", null, value));
    inner.replaceChildren(
      h("p", { class: "state" }, h("span", { class: "badge", dataset: { tone } }, t(words)), " ", now.enabled ? now.broker : h("span", { class: "quiet" }, t("off.why"))),
      h("dl", { class: "figures" }, figure("sent", ctx.number(now.messages_sent)), figure("received", ctx.number(now.messages_received)), figure("errors", ctx.number(now.errors))),
      list(ctx, [[t("mqtt.client_id"), now.client_id], [t("last_error"), ctx.said(now.last_error) || t("none")], [t("verified"), t(now.verified ? "yes" : "no")]]),
    );
  }
}

async function fillSettings(ctx, inner, saved) {
  const { h, t, api } = ctx;
  const [config, schema] = await Promise.all([api.get("/api/mqtt/config"), api.get("/api/config/schema")]);
  const values = flat(config, "mqtt.");
  const result = h("div", { class: "notice", role: "status" });
  const body = (changes) => nested(changes).mqtt ?? {};
  const test = h("button", { type: "button", onclick: run }, t("test"));
  const form = new Form(ctx, {
    rows: rowsOf(schema),
    values,
    sections: SECTIONS,
    extra: [result],
    save: async (changes) => {
      await api.post("/api/mqtt/config", body(changes));
      ctx.toast(t("form.saved"), "good");
      Object.assign(values, flat(await api.get("/api/mqtt/config"), "mqtt."));
      saved();
      for (const [key] of changes) changes.set(key, values[key]); // the port may have come from the broker's address
    },
  });
  form.buttons.append(test);

  async function run() {
    ctx.text(form.said, "");
    if (!form.good()) return;
    test.disabled = true;
    result.dataset.tone = "info";
    result.replaceChildren(t("testing"));
    try {
      const found = await api.post("/api/mqtt/test", body(form.differing()), { timeout: 60000 });
      result.dataset.tone = found.success ? "good" : "bad";
      const at = found.success ? STAGES.length : STAGES.indexOf(found.stage);
      const steps = STAGES.slice(0, at + 1).map((stage, i) => h("li", null, i < at ? "✓ " : "✕ ", t("stage." + stage)));
      result.replaceChildren(h("b", null, found.success ? t("test.good") : `${t("test.bad")}: ${ctx.said(found.error)}`), h("ul", null, steps), found.success ? h("small", null, t(found.verified ? "test.verified" : "test.unverified")) : "");
    } catch (error) {
      if (!ctx.signal.aborted) {
        result.replaceChildren();
        form.refused(error);
        if (error.code === "PASSWORD_REQUIRED") form.said.append(" ", h("a", { href: "#/setup" }, t("form.password")));
      }
    }
    test.disabled = false;
  }
  inner.replaceChildren(form.element);
  ctx.dirty(() => form.differing().size > 0);
}
