// Header, navigation and what they show of the live state.
import { h, svg, text, attr } from "./dom.js";
import { loggedIn } from "./api.js";
import { duration, language, languageChoice, number } from "./i18n.js";
import { store, stored } from "./stored.js";
import { themeChoice } from "./theme.js";

const PRIMARY = ["overview", "cells", "history", "alerts"]; // the bar of a phone has these and "more"
const HIDDEN = ["setup"]; // not in the navigation: reached from notices
const ICONS = {
  overview: "M3 12a9 9 0 0 1 18 0M12 12l4-3M5 17h14",
  cells: "M4 20V9M9 20V5M14 20v-9M19 20V7M2.5 20h19",
  history: "M3 18l5-6 4 3 5-8 4 4M3 21h18",
  alerts: "M12 3a6 6 0 0 0-6 6v4l-2 3h16l-2-3V9a6 6 0 0 0-6-6zM10 19a2 2 0 0 0 4 0",
  can: "M4 7h16M4 17h16M8 7v10M16 7v10",
  uart: "M5 8h14l-3 9H8zM9 8V4M15 8V4M12 17v4",
  mqtt: "M4 20a3 3 0 0 1 3-3M4 14a9 9 0 0 1 9 6M4 8a14 14 0 0 1 15 12",
  bms: "M4 7h14v10H4zM18 10h3v4h-3M11 9l-2.5 3.5h3L10 16",
  settings: "M4 7h10M18 7h2M4 17h4M12 17h8M16 7m-2 0a2 2 0 1 0 4 0a2 2 0 1 0-4 0M10 17m-2 0a2 2 0 1 0 4 0a2 2 0 1 0-4 0",
  system: "M7 7h10v10H7zM10 3v4M14 3v4M10 17v4M14 17v4M3 10h4M3 14h4M17 10h4M17 14h4",
  setup: "M5 12l5 5 9-10",
  more: "M5 12h.01M12 12h.01M19 12h.01",
  menu: "M12 12m-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0M12 3v3M12 18v3M3 12h3M18 12h3M5.6 5.6l2.1 2.1M16.3 16.3l2.1 2.1M5.6 18.4l2.1-2.1M16.3 7.7l2.1-2.1",
};

const icon = (name) => svg("svg", { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" }, svg("path", { d: ICONS[name] }));
const $ = (id) => document.getElementById(id);

function choice(id, label, value, options, onchange) {
  const list = options.map(([key, words]) => h("option", { value: key, selected: key === value }, words));
  return h("div", { class: "field" }, h("label", { for: id }, label), h("select", { id, onchange: (e) => onchange(e.target.value) }, list));
}

function drawMenu({ t, chooseTheme, login, relanguage }) {
  const themes = [["", t("auto")], ["light", t("light")], ["dark", t("dark")]]; // prettier-ignore
  const languages = [["", t("auto")], ["en", "English"], ["fr", "Français"]]; // prettier-ignore
  const log = h("button", { type: "button", onclick: () => ((menu.open = false), login()) });
  const nameLog = () => text(log, t(loggedIn() ? "logout" : "login")); // before it opens: `toggle` comes a frame later
  const menu = h(
    "details",
    {
      class: "menu",
      onkeydown: (event) => {
        if (event.key !== "Escape" || !menu.open) return;
        menu.open = false;
        menu.firstChild.focus();
      },
    },
    h("summary", { "aria-label": t("menu"), title: t("menu"), onclick: nameLog }, icon("menu")),
    h(
      "div",
      { class: "panel" },
      choice("language", t("language"), languageChoice(), languages, relanguage),
      choice("theme", t("theme"), themeChoice(), themes, chooseTheme),
      log,
    ),
  );
  return menu;
}

function closeOutside(event) {
  const menu = document.querySelector("details.menu[open]");
  if (menu && !menu.contains(event.target)) menu.open = false;
  const nav = $("nav");
  if (nav.dataset.open && !nav.contains(event.target)) openMore(false);
}

function openMore(open) {
  const nav = $("nav");
  if (open) nav.dataset.open = "1";
  else delete nav.dataset.open;
  $("more").setAttribute("aria-expanded", String(open));
}

function drawNav(t, views) {
  const items = views
    .filter((name) => !HIDDEN.includes(name))
    .map((name) =>
      h(
        "li",
        { class: PRIMARY.includes(name) ? "" : "secondary" },
        h("a", { href: "#/" + name, dataset: { view: name }, onclick: () => openMore(false) }, icon(name), h("span", null, t(name))),
      ),
    );
  const more = h(
    "button",
    { type: "button", id: "more", "aria-expanded": "false", "aria-controls": "views", onclick: () => openMore(!$("nav").dataset.open) },
    icon("more"),
    h("span", null, t("more")),
  );
  $("nav").replaceChildren(h("ul", { id: "views" }, items), more);
  $("nav").setAttribute("aria-label", t("nav"));
  $("nav").onkeydown = (event) => {
    if (event.key !== "Escape" || !$("nav").dataset.open) return;
    openMore(false);
    more.focus();
  };
}

/** Draw everything around the view, in the language that is chosen. */
export function drawFrame(options) {
  const { t } = options;
  document.documentElement.lang = language();
  text($("skip"), t("skip"));
  drawNav(t, options.views);
  $("tools").replaceChildren(
    h("a", { id: "alert-count", href: "#/alerts" }, icon("alerts"), h("b")),
    h("a", { id: "mini", href: "#/overview" }, h("i", { "aria-hidden": "true" }, h("i")), h("b")),
    h("button", { id: "link", type: "button", onclick: options.reconnect }, h("span")),
    drawMenu(options),
  );
  $("said").textContent = "";
  delete $("first").dataset.key;
  document.removeEventListener("click", closeOutside);
  document.addEventListener("click", closeOutside);
}

let title = "";

/** Say which view is shown. */
export function showRoute(route, words) {
  title = words;
  text($("title"), words);
  const secondary = !PRIMARY.includes(route.view);
  document.querySelectorAll("#nav a").forEach((a) => attr(a, "aria-current", a.dataset.view === route.view && "page"));
  $("more").dataset.current = secondary ? "1" : "";
  openMore(false);
  document.title = title + " · TinyBMS-GW";
}

function linkWords(t, live) {
  const link = live.link();
  if (link !== "live") return [link, t("link." + link)];
  if (!live.battery) return ["wait", t("link.wait")];
  if (live.battery.status === "DISCONNECTED") return ["bms", t(live.never() && live.age() === Infinity ? "link.never" : "link.bms")];
  return live.stale() ? ["bms", t("link.bms")] : ["live", t("link.live")];
}

/** The header's part of the live state; runs each second and on each change. */
export function showLive(t, live) {
  const [state, words] = linkWords(t, live);
  const old = live.stale() && live.age() !== Infinity ? " · " + t("link.old", { age: duration(live.age()) }) : "";
  document.body.classList.toggle("stale", live.stale());
  $("link").dataset.state = state;
  text($("link").firstChild, words + old);
  attr($("link"), "title", words + old);
  if ($("said").dataset.state !== state) {
    // a screen reader hears of a change once, not of each second
    if ($("said").dataset.state || state !== "live") text($("said"), words);
    $("said").dataset.state = state;
  }
  const soc = live.known?.soc_percent ?? null;
  text($("mini").lastChild, number(soc, 0, "%"));
  attr($("mini"), "aria-label", t("soc") + " " + number(soc, 0, "%"));
  $("mini").firstChild.firstChild.style.setProperty("transform", `scaleX(${(soc ?? 0) / 100})`);
  const count = live.alerts.length;
  const severity = Math.max(-1, ...live.alerts.map((alert) => alert.severity));
  $("alert-count").dataset.tone = count ? ["info", "warn", "bad"][severity] : "";
  text($("alert-count").lastChild, count || "");
  attr($("alert-count"), "aria-label", count === 0 ? t("alerts.none") : count === 1 ? t("alerts.one") : t("alerts.many", { n: count }));
  document.title = (soc === null || live.stale() ? "" : number(soc, 0, "%") + " · ") + title + " · TinyBMS-GW";
  showFirst(t, live);
}

// What is said above every view: {text: [tone, where it leads]}
const NOTICES = {
  safemode: ["bad", "#/system"],
  updatemode: ["warn", "#/system"],
  nopassword: ["warn", "#/setup"],
  nochemistry: ["info", "#/setup"],
};

function noticeOf(state) {
  if (state.safe_mode) return "safemode";
  if (state.update_mode) return "updatemode";
  if (state.password_set === false) return "nopassword";
  return state.chemistry === "auto" && !stored("setup.skipped", "") ? "nochemistry" : "";
}

/** Until the gateway has told, the notice is that of the last time: what comes later moves the page. */
function showFirst(t, live) {
  const { state } = live;
  const before = stored("first", "");
  const key = state ? noticeOf(state) : before in NOTICES ? before : "";
  const notice = $("first");
  if (notice.dataset.key === key) return;
  if (state) store("first", key);
  notice.dataset.key = key;
  notice.hidden = !key;
  if (!key) return;
  const [tone, href] = NOTICES[key];
  notice.dataset.tone = tone;
  const later = () => {
    store("setup.skipped", "1");
    showFirst(t, live);
  };
  notice.replaceChildren(h("span", null, t(key)), " ", h("a", { href }, t(key + ".go")), " ");
  if (key === "nochemistry") notice.append(h("button", { type: "button", onclick: later }, t("later")));
}
