// Settings: cards of forms made of the configuration's schema. What `ctx` has is told in app.js.
import { askNetwork, askRestart, networks, passwordForm, pinWarnings, wifiState } from "./access.js";
import { card, flat, Form, nested, rowsOf, sayRestart } from "./form.js";
import { restoreCard } from "./restore.js";
export { texts } from "./settings_texts.js";

// name of a card, groups or keys that it shows ("can." = the rest of the group)
const CARDS = [
  ["charge", ["charge."]],
  ["can", ["can.enabled", "can.protocol", "can.manufacturer", "can.battery_name", "can.battery_family", "can.serial_number"]],
  ["pins", ["system.board", "can.tx_pin", "can.rx_pin", "uart.tx_pin", "uart.rx_pin", "system.led_pin", "can.speed", "uart."]],
  ["general", ["system.", "time.", "history.", "log."]],
  ["ble", ["ble."]],
];
const ELSEWHERE = ["mqtt", "alerts", "wifi", "auth"]; // a view or a card of their own

export function mount(root, ctx) {
  const { api } = ctx;
  const forms = new Set();
  const loaded = Promise.all([api.get("/api/config"), api.get("/api/config/schema")]).then(([config, schema]) => ({ values: flat(config), rows: rowsOf(schema) }));
  const again = () => mountAgain(root, ctx);
  const add = (form) => {
    forms.add(form);
    return form;
  };
  loaded.then(
    ({ rows }) => wall.insertBefore(restCards(ctx, add, loaded, rows), wall.lastElementChild),
    () => {},
  );
  const wall = ctx.h(
    "div",
    { class: "wall" },
    passwordCard(ctx, add, loaded),
    wifiCard(ctx, add, loaded),
    CARDS.map(([name, keys]) => formCard(ctx, add, loaded, name, keys)),
    restoreCard(ctx, loaded, again),
  );
  root.append(wall);
  ctx.dirty(() => [...forms].some((form) => form.differing().size > 0));
}

function mountAgain(root, ctx) {
  root.replaceChildren();
  mount(root, ctx);
}

const inGroup = (rows, prefix, taken) => [...rows.keys()].filter((key) => key.startsWith(prefix) && !taken.includes(key));

/** The keys of a card: named ones, and the rest of a group that no card names. */
function keysOf(rows, wanted) {
  const named = CARDS.flatMap(([, keys]) => keys).filter((key) => !key.endsWith("."));
  return wanted.flatMap((key) => (key.endsWith(".") ? inGroup(rows, key, named) : [key]));
}

/** Groups that this page does not know yet. */
function restCards(ctx, add, loaded, rows) {
  const known = [...CARDS.flatMap(([, keys]) => keys.map((key) => key.split(".")[0])), ...ELSEWHERE];
  const others = [...new Set([...rows.keys()].map((key) => key.split(".")[0]))].filter((group) => !known.includes(group));
  const part = document.createDocumentFragment();
  part.append(...others.map((group) => formCard(ctx, add, loaded, group, [group + "."])));
  return part;
}

/** Store `changes`; asks first when that restarts the gateway. `place` tells what comes of it. Gives false when somebody did not want to. */
export async function saveConfig(ctx, rows, changes, place) {
  const { t, api } = ctx;
  const restarting = [...changes.keys()].filter((key) => rows.get(key).restart);
  if (restarting.length && !(await askRestart(ctx, restarting.map((key) => t(key))))) return false;
  const answer = await api.post("/api/config", nested(changes));
  place.replaceChildren(pinWarnings(ctx, answer.warnings) || "");
  place.dataset.tone = "warn";
  ctx.toast(t("form.saved"), "good");
  if (restarting.length) {
    const pins = pinWarnings(ctx, answer.warnings);
    sayRestart(ctx, place).then(() => pins && place.append(pins));
  }
  return true;
}

function formCard(ctx, add, loaded, name, wanted) {
  return card(ctx, name, async (inner) => {
    const { rows, values } = await loaded;
    const place = ctx.h("div", { class: "notice", role: "status" });
    const form = add(
      new Form(ctx, {
        rows,
        values,
        sections: [["", keysOf(rows, wanted)]],
        save: async (changes) => {
          const done = await saveConfig(ctx, rows, changes, place);
          // another board brings its pins with it
          if (done && changes.has("system.board")) Object.assign(values, flat(await ctx.api.get("/api/config")));
          return done;
        },
      }),
    );
    inner.replaceChildren(...[notes(ctx, name), form.element, place].filter(Boolean));
    if (name === "pins") {
      const info = await ctx.attempt(() => ctx.api.get("/api/system/info"), { quiet: true });
      if (info && !place.childElementCount) place.replaceChildren(pinWarnings(ctx, info.pin_warnings) || "");
      place.dataset.tone = "warn";
    }
  });
}

function notes(ctx, name) {
  const words = ctx.t("note." + name);
  return words === "note." + name ? null : ctx.h("p", { class: "quiet note" }, words);
}

function passwordCard(ctx, add, loaded) {
  return card(ctx, "access", async (inner) => {
    const { h, t, api } = ctx;
    const { rows, values } = await loaded;
    const place = h("div", { class: "notice", role: "status" });
    const form = add(new Form(ctx, { rows, values, sections: [["", inGroup(rows, "auth.", [])]], save: (changes) => saveConfig(ctx, rows, changes, place) }));
    const head = h("div");
    const draw = async () => {
      const { password_set } = await api.get("/api/auth/status");
      const badge = h("span", { class: "badge", dataset: { tone: password_set ? "good" : "warn" } }, t(password_set ? "password.isset" : "password.open"));
      head.replaceChildren(h("p", null, badge), passwordForm(ctx, password_set, draw));
      form.fields.get("auth.protect_reads").input.disabled = !password_set;
    };
    await draw();
    inner.replaceChildren(head, h("hr"), form.element, place);
  });
}

function wifiCard(ctx, add, loaded) {
  return card(ctx, "wifi", async (inner) => {
    const { h, api } = ctx;
    const { rows, values } = await loaded;
    const state = h("div");
    const place = h("div", { class: "notice", role: "status" });
    const draw = async () => {
      const wifi = await ctx.attempt(() => api.get("/api/wifi"), { quiet: true });
      if (wifi) state.replaceChildren(wifiState(ctx, wifi));
    };
    const form = add(
      new Form(ctx, {
        rows,
        values,
        sections: [["", inGroup(rows, "wifi.", [])]],
        save: async (changes) => {
          if (!(await askNetwork(ctx, changes.get("wifi.ssid") ?? values["wifi.ssid"]))) return false;
          const done = await saveConfig(ctx, rows, changes, place);
          setTimeout(draw, 8000);
          return done;
        },
      }),
    );
    const scan = networks(ctx, (ssid) => {
      form.put("wifi.ssid", ssid);
      form.fields.get("wifi.password").input.focus();
    });
    form.element.prepend(scan);
    await draw();
    inner.replaceChildren(state, form.element, place);
    ctx.on("system_event", (message) => message.event.startsWith("WIFI_") && draw());
  });
}
