// What the charts show: rows of time (s) and values, with an empty row where nothing was recorded, and its live tail.

const ROWS = 400; // about so many points in a view
const TAIL_MAX = 3600; // rows to which the live tail may grow
const DAY_S = 86400;
const MONTH_S = 31 * DAY_S;

// name in the rows: name in the CSV
const COLUMNS = {
  voltage: "pack_voltage",
  voltageMin: "pack_voltage_min",
  voltageMax: "pack_voltage_max",
  current: "pack_current",
  currentMin: "pack_current_min",
  currentMax: "pack_current_max",
  soc: "state_of_charge",
  socMin: "state_of_charge_min",
  socMax: "state_of_charge_max",
  temperature: "average_temperature",
  temperatureMin: "temperature_min",
  temperatureMax: "temperature_max",
  spread: "cell_spread",
};
export const NAMES = [...Object.keys(COLUMNS), "power"];

/** Which samples suit a view: {resolution, step, interval (s), from, to}; `live`: {interval, capacity} of the live ring. */
export function wanted(view, now, live) {
  const span = view.to - view.from;
  const reach = live.interval * live.capacity;
  if (view.from >= now - reach * 1.02 && span <= reach * 1.02) {
    return { resolution: "live", step: 1, interval: live.interval, from: now - reach, to: Infinity };
  }
  const minutes = view.from >= now - DAY_S * 1.01 && span <= DAY_S * 1.01;
  const period = minutes ? 60 : 900;
  const step = Math.max(1, Math.ceil(span / period / ROWS));
  const margin = span / 2;
  return {
    resolution: minutes ? "1m" : "15m",
    step,
    interval: period * step,
    from: Math.max(view.from - margin, now - (minutes ? DAY_S : MONTH_S)),
    to: view.to + margin >= now ? Infinity : view.to + margin,
  };
}

/** True when `have` (what was loaded) is good enough for what is `wanted` in `view`. */
export const suits = (have, want, view) =>
  have &&
  have.resolution === want.resolution &&
  have.step === want.step &&
  have.from <= Math.max(view.from, want.from) + have.interval &&
  have.to >= Math.min(view.to, want.to);

export class Rows {
  /** `want`: from wanted(). */
  constructor(want) {
    this.want = want;
    this.gap = want.interval * (want.resolution === "live" ? 3.5 : 1.6);
    this.x = [];
    for (const name of NAMES) this[name] = [];
    this.weight = 0; // telemetry messages in the last row
  }

  get length() {
    return this.x.length;
  }

  _push(x, row) {
    const last = this.x[this.length - 1];
    if (last !== undefined && x - last > this.gap) this._put(last + this.want.interval, {});
    this._put(x, row);
  }

  _put(x, row) {
    this.x.push(x);
    for (const name of NAMES) this[name].push(row[name] ?? null);
  }

  /** Take lines of the gateway's CSV; `head` is its first line. */
  lines(head, lines) {
    const place = head.split(",");
    const at = Object.entries(COLUMNS).map(([name, column]) => [name, place.indexOf(column)]);
    for (const line of lines) {
      const cells = line.split(",");
      if (cells.length !== place.length) continue;
      const row = {};
      for (const [name, index] of at) row[name] = index < 0 || cells[index] === "" ? null : Number(cells[index]);
      if (row.voltage !== null && row.current !== null) row.power = row.voltage * row.current;
      if (row.spread !== null) row.spread *= 1000;
      this._push(Number(cells[0]) / 1000, row);
    }
  }

  /** One message of telemetry. `hundredths`: the SoC of the last state. Gives false when it brings nothing new. */
  tail(message, hundredths) {
    const { interval, resolution } = this.want;
    const last = this.x[this.length - 1] ?? -Infinity;
    const known = message.status !== "DISCONNECTED" && message.voltage_mv !== null;
    if (!known) return false;
    const x = (message.timestamp_ms - message.age_ms) / 1000;
    if (message.age_ms > 4000 || x <= last) return false;
    const row = measured(message, hundredths);
    if (resolution === "live") {
      if (x - last < interval * 0.7) return false;
      this._push(x, row);
    } else this._summarise(Math.floor(x / interval) * interval, row, last);
    if (this.length > TAIL_MAX) for (const name of ["x", ...NAMES]) this[name].splice(0, this.length - TAIL_MAX + 60);
    return true;
  }

  /** Put `row` into the mean, minimum and maximum of the period that begins at `x`. */
  _summarise(x, row, last) {
    for (const name of ["voltage", "current", "soc", "temperature"]) row[name + "Min"] = row[name + "Max"] = row[name];
    if (x > last) {
      this.weight = 1;
      this._push(x, row);
      return;
    }
    const at = this.length - 1;
    const weight = (this.weight = Math.max(this.weight, 1) + 1);
    for (const name of NAMES) {
      const before = this[name][at];
      const value = row[name];
      if (value === null) continue;
      if (before === null) this[name][at] = value;
      else if (name.endsWith("Min")) this[name][at] = Math.min(before, value);
      else if (name.endsWith("Max") || name === "spread") this[name][at] = Math.max(before, value);
      else this[name][at] = before + (value - before) / weight;
    }
  }

  /** Index range [first, end) of the rows between two times. */
  between(from, to) {
    let first = 0;
    while (first < this.length && this.x[first] < from) first++;
    let end = this.length;
    while (end > first && this.x[end - 1] > to) end--;
    return [first, end];
  }

  /** {min, mean, max, last} of a quantity between two times; each null when there is nothing. */
  summary(name, from, to) {
    const [first, end] = this.between(from, to);
    const lows = this[name + "Min"] ?? this[name];
    const highs = this[name + "Max"] ?? this[name];
    let [min, max, sum, count, last] = [null, null, 0, 0, null];
    for (let i = first; i < end; i++) {
      const value = this[name][i];
      if (value === null) continue;
      const low = lows[i] ?? value;
      const high = highs[i] ?? value;
      if (min === null || low < min) min = low;
      if (max === null || high > max) max = high;
      sum += value;
      count++;
      last = value;
    }
    return { min, mean: count ? sum / count : null, max, last };
  }

  /** The rows between two times as CSV. */
  csv(from, to) {
    const [first, end] = this.between(from, to);
    const names = NAMES.filter((name) => this[name].some((value) => value !== null));
    const lines = ["timestamp,time," + names.join(",")];
    for (let i = first; i < end; i++) {
      if (names.every((name) => this[name][i] === null)) continue;
      const ms = Math.round(this.x[i] * 1000);
      lines.push([ms, ms > 1e12 ? new Date(ms).toISOString() : "", ...names.map((name) => short(this[name][i]))].join(","));
    }
    return lines.join("\r\n") + "\r\n";
  }
}

const short = (value) => (value === null ? "" : Number(value.toFixed(3)));

function measured(message, hundredths) {
  const soc = message.soc_percent;
  const cells = (message.cells || []).map((cell) => cell.voltage_mv).filter((mv) => mv !== null);
  const voltage = message.voltage_mv / 1000;
  const current = message.current_ma === null ? null : message.current_ma / 1000;
  return {
    voltage,
    current,
    power: current === null ? null : voltage * current,
    soc: hundredths !== null && hundredths !== undefined && Math.floor(hundredths / 100) === soc ? hundredths / 100 : soc,
    temperature: message.temperature_c,
    spread: cells.length ? Math.max(...cells) - Math.min(...cells) : null,
  };
}

/** Fetch what is wanted: rows, filled while they arrive; `arrived(rows)` is called now and then, and may end it with false. */
export async function load({ api, ApiError }, want, arrived) {
  const rows = new Rows(want);
  const bounds = [want.resolution !== "live" && "from=" + Math.max(0, Math.floor(want.from * 1000))];
  if (want.to !== Infinity) bounds.push("to=" + Math.ceil(want.to * 1000));
  if (want.step > 1) bounds.push("step=" + want.step);
  const query = ["resolution=" + want.resolution, ...bounds.filter(Boolean)].join("&");
  const answer = await api.get("/api/history/download?" + query, { raw: true, timeout: 30000 });
  const reader = answer.body.getReader();
  const decoder = new TextDecoder();
  let head = null;
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read().catch(() => {
      throw new ApiError(0, "NO_ANSWER", "The gateway does not answer", "");
    });
    const lines = (rest + (value ? decoder.decode(value, { stream: true }) : "")).split("\r\n");
    rest = lines.pop();
    if (head === null && lines.length) head = lines.shift();
    if (lines.length) rows.lines(head, lines);
    if (done) return rows;
    if (lines.length && !arrived(rows)) {
      reader.cancel();
      return rows;
    }
  }
}
