// The dashboard's shell: header, navigation, one view at a time. Everything a view needs comes through `ctx`.
//
// A view is a module web/src/views/NAME.js, loaded when it is first opened, with its texts and its style (views/NAME.css, part of
// the one style sheet through style.css). It must not import anything of shell/: that would split the first file. It exports
//
//   texts   {en: {title: "...", key: "..."}, fr: {...}}; `title` is the heading of the page
//   mount(root, ctx)   fills `root` (an empty element), gives a function that takes everything down, or nothing, or a promise of
//           one. It is called again when the language changes: keep nothing in the module that is in a language.
//
// ctx:
//   h(tag, props, ...children), svg(...)   make elements (shell/dom.js); text(el, words), attr(el, name, value) change only what differs.
//           There is no inline style in HTML (CSP); `style: {width: "3px"}` in props and element.style work.
//   t(key, {name: value})   text in the language, of the view, else of the shell; {name} in it is replaced
//   lang            "en" or "fr"
//   said(words)     what the gateway says in English (a reason, why something failed) in the language; alerts and TinyBMS settings
//                   come in the language that they are asked for in
//   number(value, digits, unit), time(ms), dateTime(ms), duration(ms), between(ms, ms), bytes(n)   in the language; "–" for null
//                   (null is never 0). Times of a gateway whose clock is not set count from its start: these show them so
//   api.get(path), api.post(path, body), api.put(path, body), api.delete(path)   JSON in and out; each may take options as last
//           argument: {raw: true} gives the Response, {timeout: ms}, {headers}. Throw ApiError {status, code, message, details}; a 401
//           asks for the password first and tries again. All end when the view is left (AbortError).
//   api.authorization() is the header for a request of your own ("" without login); api.logIn(password) after it was set ("" logs out)
//   attempt(work)   await work() ; shows the text of an error as a toast; gives undefined then. {quiet: true} in 2nd argument: throws nothing, shows nothing
//   errorText(error)   the words for an error, to show it beside a field
//   toast(text, kind)   kind "good", "bad" or ""
//   confirm({title, text, action, danger, cancel})   promise of true or false; `text`: what will happen, a string or several (strings or elements)
//   dialog(title, build(close), {danger, wide})   any other question: `build` gives elements, the promise what close(value) got
//   on(type, listener)   messages of the socket while the view is there: "battery_data", "state", "system_event", "alert", "alerts",
//           "uart_frame", "can_frame". The stream is subscribed only while somebody listens. The last battery_data and state come at once.
//   live            {battery, known, state, alerts, trend, link(), age(), stale()} (shell/live.js)
//   onLive(watch)   watch() now, each second, and when live has changed
//   every(ms, work) work now and each `ms` while the view is there and the page is visible; never twice at once
//   signal          AbortSignal, aborted when the view is left
//   route           {view, path: ["words", "after"], query: URLSearchParams} of #/view/words/after?key=value
//   go(hash)        to another view: go("#/history?range=1h")
//   dirty(check)    check() true: leaving asks first
//   chart()         promise of the module chart.js (uPlot): loaded when first asked
//   redraw(work)    work() when colours have changed (theme)
//   setTitle(text)  another heading
//
// Classes of css/base.css that all views share: card, grid, figures, badge[data-tone=good|warn|bad|info], table-wrap, buttons, field,
// notice[data-tone], quiet, visually-hidden; `fresh` on what shows live values: it turns grey when they are old.

import { apiFor, ApiError, loggedIn, setCredential } from "./shell/api.js";
import { askLogin, confirm, dialog, errorText, startDialogs, toast } from "./shell/dialogs.js";
import { attr, h, svg, text } from "./shell/dom.js";
import { between, bytes, chooseLanguage, dateTime, duration, language, number, said, time, translator } from "./shell/i18n.js";
import { live, onLive, startLive } from "./shell/live.js";
import { startRouter } from "./shell/router.js";
import { listen, reconnect, startSocket, subscribe } from "./shell/socket.js";
import { startTheme } from "./shell/theme.js";
import { drawFrame, showLive, showRoute } from "./shell/frame.js";
import { texts } from "./texts.js";

const manage = async (name) => (await import("./views/manage.js"))[name]; // views in one file: each file costs flash

const VIEWS = {
  overview: () => import("./views/overview.js"),
  cells: () => import("./views/cells.js"),
  history: () => import("./views/history.js"),
  alerts: () => import("./views/alerts.js"),
  can: () => import("./views/can.js"),
  uart: () => import("./views/uart.js"),
  mqtt: () => manage("mqtt"),
  bms: () => manage("bms"),
  settings: () => manage("settings"),
  system: () => manage("system"),
  setup: () => manage("setup"),
};

const t = translator(texts);
const redraws = new Set();
let shown = null; // {route, end(), dirty}
let turn = 0;

function contextFor(route, module, ends, state) {
  const abort = new AbortController();
  ends.push(() => abort.abort());
  const keep = (end) => {
    ends.push(end);
    return end;
  };
  const every = (ms, work) => {
    let busy = false;
    const run = async () => {
      if (busy || document.hidden || abort.signal.aborted) return;
      busy = true;
      try {
        await work();
      } finally {
        busy = false;
      }
    };
    const timer = setInterval(run, ms);
    document.addEventListener("visibilitychange", run);
    keep(() => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", run);
    });
    return run();
  };
  const attempt = async (work, { quiet = false } = {}) => {
    try {
      return await work();
    } catch (error) {
      if (!abort.signal.aborted && !quiet && error.name !== "AbortError") toast(errorText(error), "bad");
      if (!(error instanceof ApiError) && error.name !== "AbortError") console.error(error);
    }
  };
  const on = (type, listener) => {
    keep(listen(type, listener));
    const last = { battery_data: live.battery, state: live.state }[type];
    if (last) listener(last);
  };
  return {
    h, svg, text, attr, number, time, dateTime, duration, between, bytes, toast, confirm, dialog, errorText, live, attempt, every, on, route,
    ApiError,
    t: translator(module.texts, texts),
    lang: language(),
    said,
    api: apiFor(abort.signal),
    signal: abort.signal,
    go: (hash) => (location.hash = hash),
    dirty: (check) => (state.dirty = check),
    chart: () => import("./chart.js"),
    redraw: (work) => {
      redraws.add(work);
      keep(() => redraws.delete(work));
    },
    onLive: (watch) => {
      keep(onLive(watch));
      watch();
    },
    setTitle: (words) => showRoute(route, words),
  }; // prettier-ignore
}

async function show(route, byUser) {
  if (!VIEWS[route.view]) route = { ...route, view: "overview" };
  const mine = ++turn;
  const root = h("div", { class: "view", id: "view-" + route.view });
  const ends = [];
  const state = { route, dirty: null, end: () => ends.splice(0).forEach((end) => end()) };
  const main = document.getElementById("main");
  let module;
  try {
    module = await VIEWS[route.view]();
  } catch (error) {
    if (mine === turn) loadFailed(route, main, error);
    return;
  }
  if (mine !== turn) return;
  sessionStorage.removeItem("tinybms.reloaded");
  shown?.end();
  shown = state;
  const ctx = contextFor(route, module, ends, state);
  main.replaceChildren(root);
  showRoute(route, ctx.t("title"));
  if (byUser) {
    scrollTo(0, 0);
    document.getElementById("title").focus({ preventScroll: true });
  }
  try {
    const end = await module.mount(root, ctx);
    if (typeof end === "function") {
      if (shown === state) ends.push(end);
      else end();
    }
  } catch (error) {
    if (error.name === "AbortError" || shown !== state) return;
    console.error(error);
    root.append(h("p", { class: "notice", dataset: { tone: "bad" }, role: "alert" }, errorText(error)));
  }
}

/** A view that is not there any more has a new name since an update: the page is loaded again, once. */
function loadFailed(route, main, error) {
  console.warn(error);
  if (!sessionStorage.getItem("tinybms.reloaded") && live.link() === "live") {
    sessionStorage.setItem("tinybms.reloaded", "1");
    location.reload();
    return;
  }
  showRoute(route, t(route.view));
  const again = h("button", { class: "primary", onclick: () => location.reload() }, t("load.again"));
  shown?.end();
  shown = null;
  main.replaceChildren(h("div", { class: "card", role: "alert" }, h("p", null, t("load.failed")), h("div", { class: "buttons" }, again)));
}

async function mayLeave() {
  if (!shown?.dirty?.()) return true;
  return confirm({ title: t("dirty.title"), text: t("dirty.text"), action: t("dirty.go"), cancel: t("back"), danger: true });
}

addEventListener("beforeunload", (event) => {
  if (shown?.dirty?.()) event.preventDefault();
});

async function login() {
  if (loggedIn()) {
    setCredential("");
    toast(t("logged.out"));
  } else {
    const given = await askLogin(false);
    if (given) setCredential(given);
    if (given) toast(t("logged.in"), "good");
  }
}

const chooseTheme = startTheme(() => redraws.forEach((work) => work()));

function frame() {
  startDialogs(t);
  drawFrame({
    t,
    views: Object.keys(VIEWS),
    chooseTheme,
    login,
    reconnect,
    relanguage: async (value) => {
      const may = await mayLeave();
      if (may) {
        chooseLanguage(value);
        subscribe(); // the alerts come again, in the new language
      }
      frame(); // else too: the menu names what is chosen
      if (may && shown) show(shown.route, false);
    },
  });
  showLive(t, live);
}

frame();
startLive();
onLive(() => showLive(t, live));
startSocket();
startRouter(show, mayLeave);
