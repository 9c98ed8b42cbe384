// First set-up, mostly in the small browser that a telephone opens when it finds the access point. Needs nothing but the API.
import { api, ApiError, explain, loggedIn, logInWith } from "./src/portal/api.js";
import { french, t } from "./src/portal/words.js";

const FAILURES = {
  NOT_FOUND: "network not found",
  WRONG_PASSWORD: "wrong password",
  OTHER_SECURITY: "its security is not supported",
  LOST: "connection lost",
  TIMEOUT: "no answer, or no address",
};
const PINS = [["pin-utx", "uart", "tx_pin"], ["pin-urx", "uart", "rx_pin"], ["pin-ctx", "can", "tx_pin"], ["pin-crx", "can", "rx_pin"]];
const SETTLE_MS = 3500; // the gateway answers first, then leaves the old network
const POLL_MS = 1500;
const FOLLOW_MS = 150000;
const SCAN_TRIES = 4;

const $ = (id) => document.getElementById(id);
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

let config;
let passwordSet = false;
let round = 0; // of the attempt that is followed: a new one ends the old

function options(select, values, chosen, label = (value) => value) {
  select.replaceChildren(...values.map((value) => new Option(label(value), value, false, value === chosen)));
}

// -- loading

async function load() {
  $("loading").hidden = false;
  try {
    passwordSet = (await api("/api/auth/status")).password_set;
    if (passwordSet && !loggedIn()) return logIn("");
    config = await api("/api/config");
    const schema = await api("/api/config/schema");
    const choices = (key) => (schema.find((row) => row.key === key) || { choices: [] }).choices;
    const names = { auto: t("from the BMS"), lfp: "LFP (LiFePO4)", nmc: "NMC / Li-ion", lto: "LTO" };
    options($("chemistry"), choices("charge.chemistry"), config.charge.chemistry, (value) => names[value] || value);
    options($("board"), choices("system.board"), config.system.board);
    for (const [id, group, name] of PINS) $(id).placeholder = config[group][name];
    if (config.wifi.ssid) choose(config.wifi.ssid);
    $("admin").hidden = passwordSet;
    state(await api("/api/wifi"));
    $("form").hidden = false;
    $("login").hidden = true;
    if (passwordSet) await api("/api/wifi?secrets=1"); // is the password right?
    search();
  } catch (error) {
    $("form").hidden = true;
    if (error.status === 401) logIn(t("Wrong password."));
    else {
      $("loading").textContent = explain(error);
      $("loading").className = "error";
      setTimeout(load, 4000);
      return;
    }
  }
  $("loading").hidden = true;
}

function logIn(text) {
  $("loading").hidden = true;
  $("login").hidden = false;
  $("login-error").textContent = text;
  $("login-password").focus();
}

$("login").addEventListener("submit", (event) => {
  event.preventDefault();
  logInWith($("login-password").value);
  load();
});

function state(wifi) {
  if (wifi.connected) $("now").textContent = `${t("Connected to ")}${wifi.ssid}, ${wifi.ip}`;
  else if (wifi.configured_ssid && wifi.failure) $("now").textContent = failure(wifi);
  else $("now").textContent = "";
}

function failure(wifi) {
  const why = t(FAILURES[wifi.failure] || "refused by the network");
  return `${t("No connection to ")}${wifi.configured_ssid}: ${why}`;
}

// -- networks

async function search() {
  $("scan").disabled = true;
  $("scan-text").textContent = t("Searching for networks…");
  let text = "";
  for (let tries = 1; tries <= SCAN_TRIES; tries++) {
    try {
      const { networks } = await api("/api/wifi/scan");
      show(networks);
      text = networks.length ? "" : t("No network found.");
      break;
    } catch (error) {
      text = t("No list of networks: ") + explain(error);
      if (error.message.includes("busy") || !(error instanceof ApiError)) await sleep(3000);
      else break;
    }
  }
  $("scan-text").textContent = text;
  $("scan").disabled = false;
}

function show(networks) {
  $("networks").replaceChildren(
    ...networks.map(({ ssid, rssi, security }) => {
      const button = document.createElement("button");
      button.type = "button";
      const [name, about] = [document.createElement("span"), document.createElement("span")];
      name.textContent = ssid;
      about.textContent = `${security === "open" ? `${t("open")}, ` : ""}${rssi} dBm`;
      button.append(name, about);
      button.addEventListener("click", () => {
        choose(ssid);
        $("key").focus();
      });
      return button;
    }),
  );
  mark();
}

function choose(ssid) {
  $("ssid").value = ssid;
  mark();
}

function mark() {
  for (const button of $("networks").children) {
    button.setAttribute("aria-pressed", button.firstChild.textContent === $("ssid").value);
  }
  const same = config && config.wifi.ssid && $("ssid").value === config.wifi.ssid && config.wifi.password;
  $("key").placeholder = same ? t("not changed") : "";
}

$("scan").addEventListener("click", search);
$("ssid").addEventListener("input", mark);
$("show").addEventListener("change", () => {
  for (const id of ["key", "admin-password"]) $(id).type = $("show").checked ? "text" : "password";
});
$("admin").addEventListener("change", () => {
  $("admin-box").hidden = !$("admin-now").checked;
});

// -- saving

function changes() {
  const change = {};
  const put = (group, name, value) => {
    if (value !== config[group][name]) (change[group] = change[group] || {})[name] = value;
  };
  const bytes = (text) => new TextEncoder().encode(text).length;
  const [ssid, key] = [$("ssid").value.trim(), $("key").value];
  if (key && (bytes(key) < 8 || bytes(key) > 64)) {
    throw new Error(t("The password of the network needs 8 to 64 characters; none for an open network."));
  }
  if (ssid) {
    put("wifi", "ssid", ssid);
    if (key || change.wifi) put("wifi", "password", key);
  }
  put("charge", "chemistry", $("chemistry").value);
  put("system", "board", $("board").value);
  for (const [id, group, name] of PINS) {
    const text = $(id).value.trim();
    if (text && !/^\d+$/.test(text)) throw new Error(t("A pin is a number."));
    if (text) put(group, name, Number(text));
  }
  return change;
}

async function setPassword() {
  if (passwordSet) return;
  const password = $("admin-password").value;
  if ($("admin-now").checked) {
    await api("/api/auth/password", { password });
    logInWith(password);
    passwordSet = true;
    $("admin").hidden = true;
  }
}

function checkPassword() {
  if (passwordSet || $("admin-later").checked) return;
  if (!$("admin-now").checked) throw new Error(t("Choose: admin password now or later."));
  const size = new TextEncoder().encode($("admin-password").value).length;
  if (size < 8 || size > 64) throw new Error(t("The admin password needs 8 to 64 characters."));
}

$("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  round++;
  $("error").textContent = "";
  $("result").hidden = true;
  try {
    checkPassword();
    const change = changes();
    $("save").disabled = true;
    say([t("Saving…")]);
    await setPassword();
    await api("/api/system/time", { timestamp_ms: Date.now() }).catch(() => {}); // counts until NTP knows better
    const { message } = await api("/api/config", change);
    const ssid = $("ssid").value.trim();
    const restarts = message.includes("restart");
    if (ssid && !restarts) await api("/api/wifi/connect", {});
    if (ssid || restarts) follow(ssid, restarts);
    else say([t("Saved.")], "good");
    config = await api("/api/config").catch(() => config);
    $("key").value = "";
    mark();
  } catch (error) {
    $("result").hidden = true;
    $("error").textContent = error instanceof ApiError || error instanceof TypeError ? explain(error) : error.message;
  }
  $("save").disabled = false;
});

function say(lines, kind = "") {
  const box = $("result");
  box.replaceChildren(
    ...lines.map((line, i) => {
      const p = document.createElement("p");
      if (!i) p.className = kind;
      p.append(...[].concat(line));
      return p;
    }),
  );
  box.hidden = false;
}

function link(url) {
  const a = document.createElement("a");
  a.href = a.textContent = url;
  return a;
}

// Show what comes of it, as long as the gateway can be reached here
async function follow(ssid, restarts) {
  const mine = ++round;
  const local = `http://${config.system.hostname}.local/`;
  const lines = restarts ? [t("The gateway restarts with the new pins. If this page does not go on, connect to its WiFi again.")] : [];
  say([ssid ? `${t("Connecting to ")}${ssid}…` : t("Saved."), ...lines]);
  $("result").scrollIntoView({ block: "nearest" });
  const end = Date.now() + FOLLOW_MS;
  let lost = 0;
  await sleep(SETTLE_MS);
  while (mine === round && Date.now() < end) {
    try {
      const wifi = await api("/api/wifi");
      lost = 0;
      if (mine !== round) return;
      state(wifi);
      if (!ssid) return say([t("Saved.")], "good");
      if (wifi.connected && !wifi.fallback) {
        const where = [t("From now on: "), link(local), t(" or "), link(`http://${wifi.ip}/`)];
        return say([`${t("Connected to ")}${wifi.ssid}`, where,
          t("Connect this telephone to the same network. The gateway's own WiFi goes off in a minute.")], "good");
      }
      if (wifi.failure) {
        say([failure(wifi), t("The gateway goes on trying. Correct the settings above, or wait.")], "error");
      }
    } catch (error) {
      if (error.status === 401) return say([t("Wrong password.")], "error");
      if (++lost === 4) say([[t("The page has lost the gateway: if it has found the network, it is at "), link(local)]]);
    }
    await sleep(POLL_MS);
  }
}

for (const node of document.querySelectorAll("[data-t]")) node.textContent = t(node.textContent);
document.documentElement.lang = french ? "fr" : "en";
load();
