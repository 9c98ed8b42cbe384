// The admin password and the WiFi: parts of both Settings and First steps.
import { list } from "./form.js";

/** The form that sets the admin password; `done()` when it was set. */
export function passwordForm(ctx, isSet, done) {
  const { h, t, api } = ctx;
  const input = (id) => h("input", { type: "password", id, autocomplete: "new-password", "aria-describedby": id + "-said" });
  const [first, second] = [input("password-new"), input("password-again")];
  const [said, saidAgain] = [h("small", { id: "password-new-said" }, t("password.hint")), h("small", { id: "password-again-said" })];
  const go = h("button", { class: "primary" }, t(isSet ? "password.change" : "form.password"));
  const complain = (field, place, words, hint = "") => {
    ctx.text(place, words || hint);
    place.classList.toggle("said", words !== "");
    ctx.attr(field, "aria-invalid", words ? "true" : null);
    if (words) field.focus();
  };
  const submit = async (event) => {
    event.preventDefault();
    const size = new TextEncoder().encode(first.value).length;
    complain(second, saidAgain, first.value === second.value ? "" : t("password.differ"));
    complain(first, said, size >= 8 && size <= 64 ? "" : t("form.length", { min: 8, max: 64 }), t("password.hint"));
    if (size < 8 || size > 64 || first.value !== second.value) return;
    go.disabled = true;
    try {
      await api.post("/api/auth/password", { password: first.value });
      api.logIn(first.value);
      ctx.toast(t("password.done"), "good");
      done();
    } catch (error) {
      if (!ctx.signal.aborted) complain(first, said, ctx.errorText(error));
    } finally {
      go.disabled = false;
    }
  };
  const field = (control, label, place) => h("div", { class: "field" }, h("label", { for: control.id }, t(label)), control, place);
  return h(
    "form",
    { class: "form", novalidate: true, onsubmit: submit },
    h("input", { type: "text", autocomplete: "username", value: "admin", hidden: true, readonly: true }),
    h("div", { class: "fields" }, field(first, isSet ? "password.new" : "password.first", said), field(second, "password.again", saidAgain)),
    h("div", { class: "buttons" }, go, isSet && h("button", { type: "button", class: "danger", onclick: () => removePassword(ctx, done) }, t("password.remove"))),
  );
}

async function removePassword(ctx, done) {
  const { t, api } = ctx;
  if (!(await ctx.confirm({ title: t("password.remove.title"), text: t("password.remove.text"), action: t("password.remove"), danger: true }))) return;
  if (!(await ctx.attempt(() => api.delete("/api/auth/password")))) return;
  api.logIn("");
  ctx.toast(t("password.removed"), "good");
  done();
}

/** How the WiFi is, as rows. `wifi`: GET /api/wifi. */
export function wifiState(ctx, wifi) {
  const { t } = ctx;
  if (wifi.mode === "host") return list(ctx, [[t("wifi.state"), t("wifi.host")]]);
  const words = (name) => (t("wifi." + name) === "wifi." + name ? name : t("wifi." + name));
  return list(ctx, [
    [t("wifi.state"), [words("state." + wifi.state), wifi.fallback && t("wifi.fallback")].filter(Boolean).join(" – ")],
    wifi.failure && [t("wifi.failure"), words("failure." + wifi.failure)],
    wifi.connected && [t("wifi.ssid"), `${wifi.ssid} (${ctx.number(wifi.rssi)} dBm)`],
    wifi.ip && [t("wifi.ip"), wifi.ip],
    wifi.ap_ssid && wifi.ap_ip && [t("wifi.ap"), `${wifi.ap_ssid}, ${wifi.ap_ip}`],
  ]);
}

/** A button that looks for networks; a click on one calls `choose(ssid)`. */
export function networks(ctx, choose) {
  const { h, t, api } = ctx;
  const found = h("div", { class: "networks" });
  const scan = async () => {
    button.disabled = true;
    found.replaceChildren(h("p", { class: "quiet" }, t("wifi.scanning")));
    try {
      const list = (await api.get("/api/wifi/scan", { timeout: 25000 })).networks;
      const item = (one) => h("li", null, h("button", { type: "button", onclick: () => choose(one.ssid) }, h("b", null, one.ssid), h("small", { class: "quiet num" }, `${ctx.number(one.rssi)} dBm, ${one.security}`)));
      found.replaceChildren(list.length ? h("ul", null, list.map(item)) : h("p", { class: "quiet" }, t("wifi.nothing")));
    } catch (error) {
      if (!ctx.signal.aborted) found.replaceChildren(h("p", { class: "said", role: "alert" }, ctx.errorText(error)));
    }
    button.disabled = false;
  };
  const button = h("button", { type: "button", onclick: scan }, t("wifi.scan"));
  return h("div", { class: "scan" }, button, found);
}

/** Asks before the gateway changes its network. */
export const askNetwork = (ctx, ssid) =>
  ctx.confirm({ title: ctx.t("wifi.move.title"), text: [ssid ? ctx.t("wifi.move.text", { ssid }) : ctx.t("wifi.off.text"), ctx.t("wifi.move.back")], action: ctx.t("wifi.move") });

/** Asks before the gateway restarts for what is saved. `names`: what needs it. */
export const askRestart = (ctx, names) =>
  ctx.confirm({ title: ctx.t("restart.title"), text: [ctx.t("restart.text", { names: names.join(", ") }), ctx.t("restart.can")], action: ctx.t("restart.go") });

/** The words of the server for pins, as a list. */
export const pinWarnings = (ctx, warnings) => (warnings?.length ? ctx.h("ul", null, warnings.map((words) => ctx.h("li", null, ctx.said(words)))) : null);
