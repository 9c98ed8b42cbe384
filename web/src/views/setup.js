// First steps: what a new gateway needs, in the order in which it needs it. What `ctx` has is told in app.js.
import { askNetwork, networks, passwordForm, pinWarnings, wifiState } from "./access.js";
import { flat, Form, rowsOf } from "./form.js";
import { saveConfig } from "./settings.js";
export { texts } from "./setup_texts.js";

const SKIPPED = "tinybms.setup.skipped"; // the notice above all views reads it (shell/frame.js)

export async function mount(root, ctx) {
  const { h, t, api } = ctx;
  const [config, schema, auth, wifi, info] = await Promise.all(["/api/config", "/api/config/schema", "/api/auth/status", "/api/wifi", "/api/system/info"].map((path) => api.get(path)));
  const loaded = { values: flat(config), rows: rowsOf(schema), auth, wifi, info };
  const steps = [passwordStep, chemistryStep, wifiStep, pinsStep].map((make, i) => step(ctx, i + 1, make, loaded));
  const left = h("p", { role: "status" });
  const tell = () => {
    const open = steps.filter((one) => !one.done()).length;
    ctx.text(left, open ? t("left", { n: open }) : t("all.done"));
    ctx.text(go, t(open ? "skip" : "finish"));
  };
  const leave = () => {
    try {
      localStorage.setItem(SKIPPED, "1");
    } catch {
      // asked again next time
    }
    ctx.go("#/overview");
  };
  const go = h("button", { type: "button", onclick: leave });
  root.append(h("div", { class: "card intro" }, h("p", null, t("intro")), left), h("ol", null, steps.map((one) => one.element)), h("div", { class: "buttons" }, go));
  steps.forEach((one) => one.watch(tell));
  steps.find((one) => !one.done())?.open();
  tell();
  ctx.onLive(() => steps.forEach((one) => one.live()));
  ctx.dirty(() => steps.some((one) => one.form?.differing().size > 0));
}

/** One line of the checklist that opens. `make(ctx, loaded, again)` gives {done(), words(), content, form}. */
function step(ctx, number, make, loaded) {
  const { h, t } = ctx;
  let changed = () => {};
  const badge = h("span", { class: "badge" });
  const about = h("span", { class: "quiet" });
  const part = make(ctx, loaded, () => draw());
  const element = h("details", null, h("summary", null, h("b", { class: "number", "aria-hidden": "true" }), h("h2", null, t(part.name)), about, badge), part.content);
  function draw() {
    const done = part.done();
    element.parentElement?.classList.toggle("done", done);
    ctx.text(element.querySelector(".number"), done ? "✓" : number);
    ctx.text(badge, t(done ? "done" : "todo"));
    badge.dataset.tone = done ? "good" : "warn";
    ctx.text(about, part.words());
    changed();
  }
  const item = h("li", { class: "card", id: "step-" + part.name }, element);
  draw();
  return { element: item, done: part.done, form: part.form, open: () => (element.open = true), watch: (work) => (changed = work), live: () => part.live && draw() };
}

function passwordStep(ctx, { auth }, again) {
  const content = ctx.h("div");
  const draw = () =>
    content.replaceChildren(
      ctx.h("p", null, ctx.t("password.why")),
      passwordForm(ctx, auth.password_set, async () => {
        auth.password_set = (await ctx.attempt(() => ctx.api.get("/api/auth/status")))?.password_set ?? auth.password_set;
        draw();
        again();
      }),
    );
  draw();
  return { name: "password", content, done: () => auth.password_set, words: () => ctx.t(auth.password_set ? "password.isset" : "password.open") };
}

/** A step with a form over some keys. */
function formOf(ctx, { rows, values }, keys, again, ask) {
  const place = ctx.h("div", { class: "notice", role: "status" });
  const form = new Form(ctx, {
    rows,
    values,
    sections: [["", keys]],
    save: async (changes) => {
      if (ask && !(await ask(changes))) return false;
      const done = await saveConfig(ctx, rows, changes, place);
      if (done && changes.has("system.board")) Object.assign(values, flat(await ctx.api.get("/api/config")));
      setTimeout(again, 0);
      return done;
    },
  });
  return { form, place };
}

function chemistryStep(ctx, loaded, again) {
  const { h, t } = ctx;
  const chosen = () => loaded.values["charge.chemistry"];
  const { form, place } = formOf(ctx, loaded, ["charge.chemistry"], again);
  const content = h("div", null, h("p", null, t("chemistry.why")), form.element, place, h("p", { class: "quiet" }, h("a", { href: "#/bms" }, t("chemistry.more"))));
  return { name: "chemistry", content, form, done: () => chosen() !== "auto", words: () => t("charge.chemistry." + chosen()) };
}

function wifiStep(ctx, loaded, again) {
  const { h, t } = ctx;
  const { wifi, values } = loaded;
  const { form, place } = formOf(ctx, loaded, ["wifi.ssid", "wifi.password"], again, (changes) => askNetwork(ctx, changes.get("wifi.ssid") ?? values["wifi.ssid"]));
  const scan = networks(ctx, (ssid) => {
    form.put("wifi.ssid", ssid);
    form.fields.get("wifi.password").input.focus();
  });
  const here = wifi.mode === "host";
  const content = h("div", null, h("p", null, t("wifi.why")), wifiState(ctx, wifi), here ? null : [scan, form.element], place);
  return { name: "wifi", content, form, done: () => here || values["wifi.ssid"] !== "", words: () => (here ? t("wifi.here") : values["wifi.ssid"]) };
}

function pinsStep(ctx, loaded, again) {
  const { h, t, live } = ctx;
  const { form, place } = formOf(ctx, loaded, ["system.board", "can.tx_pin", "can.rx_pin", "uart.tx_pin", "uart.rx_pin", "can.speed"], again);
  const warnings = pinWarnings(ctx, loaded.info.pin_warnings);
  place.dataset.tone = "warn";
  if (warnings) place.append(warnings);
  const bms = () => live.state?.bms?.connected === true;
  const can = () => live.state?.can?.state === "RUNNING";
  const words = () => `${t(bms() ? "bms.ok" : "bms.no")}, ${t(can() ? "can.ok" : "can.no")}`;
  return { name: "pins", content: h("div", null, h("p", null, t("pins.why")), form.element, place), form, done: () => bms() && can(), words, live: true };
}
