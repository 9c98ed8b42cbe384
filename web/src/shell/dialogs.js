// Toasts, and native dialogs that ask: confirmation and login.
import { h } from "./dom.js";
import { ApiError, credentialOf, onLogin, request } from "./api.js";
import { said } from "./i18n.js";

const TOAST_MS = 6000;
let box;
let t;

export function startDialogs(translate) {
  t = translate;
  box = document.getElementById("toasts");
  onLogin(login);
}

/** A short message. `kind`: "good", "bad" (stays until closed) or "". */
export function toast(message, kind = "") {
  const close = () => note.remove();
  const note = h(
    "div",
    { class: "toast", dataset: { tone: kind }, role: kind === "bad" ? "alert" : "status" },
    h("p", null, message),
    h("button", { class: "icon", "aria-label": t("close"), onclick: close }, "×"),
  );
  while (box.children.length > 3) box.firstChild.remove();
  box.append(note);
  if (kind !== "bad") setTimeout(close, TOAST_MS);
}

/** The text of an error for people: what the API said, with our words for codes that we know. */
export function errorText(error) {
  if (!(error instanceof ApiError)) return String(error?.message || error);
  const key = "error." + error.code;
  const known = t(key);
  const words = known === key ? said(error.message) : known;
  const details = said(error.details);
  return details && details.toLowerCase() !== words.toLowerCase() ? `${words}: ${details}` : words;
}

/** Open a dialog; gives what `close(value)` was called with, or undefined when it was dismissed.
 *  `build(close)` gives its content; `title` is its heading. */
export function dialog(title, build, { danger = false, wide = false } = {}) {
  return new Promise((resolve) => {
    let result;
    const close = (value) => {
      result = value;
      element.close();
    };
    const before = document.activeElement;
    const id = "d" + Math.random().toString(36).slice(2);
    const element = h(
      "dialog",
      { "aria-labelledby": id, class: [danger && "danger", wide && "wide"].filter(Boolean).join(" ") },
      h("h2", { id }, title),
    );
    element.append(...[build(close)].flat().filter(Boolean));
    element.addEventListener("close", () => {
      element.remove();
      if (before?.isConnected) before.focus();
      resolve(result);
    });
    document.body.append(element);
    element.showModal();
    element.querySelector("[autofocus]")?.focus();
  });
}

/** Ask before something is done. Gives true when it shall be.
 *  `text`: what will happen (a string, or several, each a paragraph); `action`: the word on the button. */
export async function confirm({ title, text, action, danger = false, cancel }) {
  const answer = await dialog(
    title,
    (close) => [
      ...[text].flat().map((words) => (typeof words === "string" ? h("p", null, words) : words)),
      h(
        "div",
        { class: "buttons" },
        h("button", { type: "button", autofocus: danger, onclick: () => close(false) }, cancel || t("cancel")),
        h("button", { type: "button", class: danger ? "danger" : "primary", autofocus: !danger, onclick: () => close(true) }, action),
      ),
    ],
    { danger },
  );
  return answer === true;
}

/** Ask for the admin password; gives the credential, checked, or null. */
async function login(wasWrong) {
  const given = await dialog(t("login.title"), (close) => {
    const password = h("input", { type: "password", id: "login-password", autocomplete: "current-password", required: true, autofocus: true });
    const said = h("p", { class: "said", role: "alert" }, wasWrong ? t("error.UNAUTHORIZED") : "");
    const go = h("button", { class: "primary" }, t("login.go"));
    const submit = async (event) => {
      event.preventDefault();
      go.disabled = true;
      said.textContent = "";
      try {
        const credential = credentialOf(password.value);
        await request("GET", "/api/auth/check", undefined, { credential });
        close(credential);
      } catch (error) {
        said.textContent = errorText(error);
        password.select();
      } finally {
        go.disabled = false;
      }
    };
    return h(
      "form",
      { onsubmit: submit },
      h("p", null, t("login.text")),
      h("input", { type: "text", autocomplete: "username", value: "admin", hidden: true, readonly: true }),
      h("label", { for: "login-password" }, t("login.password")),
      password,
      said,
      h("div", { class: "buttons" }, h("button", { type: "button", onclick: () => close(null) }, t("cancel")), go),
    );
  });
  return given || null;
}

export { login as askLogin };
