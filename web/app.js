"use strict";
// One WebSocket for the battery (each second), one request now and then for the connections. Nothing is kept.
const STALE_MS = 5000;
const RETRY_MS = [500, 1000, 2000, 5000];
const PROTECTIONS = {
  ov: "Over-voltage",
  uv: "Under-voltage",
  oc_charge: "Charge over-current",
  oc_discharge: "Discharge over-current",
  temp_high: "Temperature too high",
  temp_low: "Temperature too low",
};
const $ = (id) => document.getElementById(id);

let heard = 0; // when the last message came
let ageThen = Infinity; // age of the values in it
let tries = 0;

function show(id, value, scale = 1, digits = 0) {
  $(id).textContent = value === null || value === undefined ? "–" : (value / scale).toFixed(digits);
}

function tone(id, text, kind) {
  $(id).textContent = text;
  $(id).dataset.tone = kind;
}

function battery(data) {
  const { voltage_mv: mv, current_ma: ma } = data;
  if (data.status !== "DISCONNECTED") {
    show("voltage", mv, 1000, 2);
    show("current", ma, 1000, 1);
    show("power", mv === null || ma === null ? null : (mv / 1000) * (ma / 1000));
    show("temperature", data.temperature_c, 1, 1);
    show("soc", data.soc_percent);
    show("soh", data.soh_percent);
    $("arc").setAttribute("stroke-dasharray", `${data.soc_percent ?? 0} 100`);
    cells(data.cells);
    $("alarms").textContent = Object.keys(PROTECTIONS)
      .filter((name) => data.protection[name])
      .map((name) => PROTECTIONS[name])
      .join(" · ");
  }
  show("cvl", data.cvl_mv, 1000, 1);
  show("ccl", data.ccl_ma, 1000, 1);
  show("dcl", data.dcl_ma, 1000, 1);
  $("status").textContent = data.status.replace("_", " ");
  $("status").dataset.tone = ["FAULT", "DISCONNECTED"].includes(data.status) ? "bad" : "";
}

function cells(list) {
  const box = $("cells");
  while (box.children.length > list.length) box.lastChild.remove();
  while (box.children.length < list.length) {
    const row = document.createElement("li");
    row.innerHTML = "<span></span><div><i></i></div><b></b>";
    box.append(row);
  }
  $("no-cells").hidden = list.length > 0;
  const known = list.map((cell) => cell.voltage_mv).filter((mv) => mv !== null);
  const low = Math.min(...known);
  const high = Math.max(...known);
  // The bar shows where a cell lies: at least 200 mV wide around all of them, so that noise does not look like disbalance
  const width = Math.max(200, (high - low) * 2);
  const from = (low + high) / 2 - width / 2;
  list.forEach((cell, i) => {
    const row = box.children[i];
    const [name, bar, value] = row.children;
    name.textContent = cell.index + 1;
    const part = Math.min(1, Math.max(0.02, (cell.voltage_mv - from) / width));
    bar.firstChild.style.transform = `scaleX(${part})`;
    value.textContent = cell.voltage_mv === null ? "–" : (cell.voltage_mv / 1000).toFixed(3);
    row.className = [
      cell.balancing ? "balancing" : "",
      high > low && cell.voltage_mv === low ? "low" : "",
      high > low && cell.voltage_mv === high ? "high" : "",
    ].join(" ");
    row.title = `Cell ${cell.index + 1}: ${cell.voltage_mv} mV${cell.balancing ? ", balancing" : ""}`;
  });
  $("spread").textContent = known.length ? `${low}–${high} mV, spread ${high - low} mV` : "";
}

// Age of what is shown: as it was told, plus the time since. Old values go grey; they are never shown as if they were now.
function age() {
  const ms = ageThen + (performance.now() - heard);
  const stale = !(ms < STALE_MS);
  document.body.classList.toggle("stale", stale);
  $("age").textContent =
    ageThen >= 86400000 ? "No data from the BMS yet" : stale ? `Data is ${duration(ms)} old` : "Live";
}

function duration(ms) {
  const s = Math.floor(ms / 1000);
  return s < 120 ? `${s} s` : s < 7200 ? `${Math.floor(s / 60)} min` : `${Math.floor(s / 3600)} h`;
}

function link(state, text) {
  $("link").dataset.state = state;
  $("link").textContent = text;
}

function connect() {
  const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws/telemetry`);
  let watch;
  const alive = () => {
    clearTimeout(watch);
    watch = setTimeout(() => socket.close(), 6000); // no message for 6 s: the network is gone, though nobody said so
  };
  alive();
  socket.onmessage = (event) => {
    const data = JSON.parse(event.data);
    if (data.type !== "battery_data") return;
    alive();
    tries = 0;
    heard = performance.now();
    ageThen = data.age_ms;
    link(data.status === "DISCONNECTED" ? "wait" : "live", data.status === "DISCONNECTED" ? "BMS not connected" : "Live");
    battery(data);
    age();
  };
  socket.onclose = () => {
    clearTimeout(watch);
    link("lost", "Gateway not connected, trying again…");
    setTimeout(connect, RETRY_MS[Math.min(tries++, RETRY_MS.length - 1)]);
  };
}

async function get(path) {
  const answer = await fetch(path, { cache: "no-store" });
  if (!answer.ok) throw new Error(answer.status);
  return answer.json();
}

async function connections() {
  try {
    const status = await get("/api/status");
    const bms = status.battery.status !== "DISCONNECTED";
    tone("link-bms", bms ? "connected" : status.bms_reason || "no answer", bms ? "good" : "bad");
    tone("link-wifi", status.wifi.connected ? `${status.wifi.ssid} ${status.wifi.ip}` : "not connected", status.wifi.connected ? "good" : "warn");
    tone("link-mqtt", status.mqtt.connected ? "connected" : status.mqtt.broker ? "not connected" : "off", status.mqtt.connected ? "good" : "");
    $("password").hidden = status.password_set;
    const can = await get("/api/can/status");
    tone("link-can", can.state.replace("_", " "), can.state === "RUNNING" ? "good" : "warn");
    const { reasons } = await get("/api/can/limits");
    const lines = ["cvl", "ccl", "dcl"].map((which) => reasons[which]).filter(Boolean);
    $("reasons").replaceChildren(...lines.map((text) => Object.assign(document.createElement("li"), { textContent: text })));
  } catch (error) {
    if (error.message === "503") tone("link-can", "off", "");
  }
  setTimeout(connections, document.hidden ? 30000 : 5000);
}

setInterval(age, 1000);
age();
connect();
connections();
