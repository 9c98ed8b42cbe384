// UART: how the link to the TinyBMS is, and its frames as they come. What `ctx` has is told in app.js.
import { framesView, iso } from "./frames.js";
import { withShared } from "./frames_texts.js";
import { texts as own } from "./uart_texts.js";

export const texts = withShared(own);

const COUNTERS = ["polls", "good", "timeouts", "crc_errors", "nacks", "noise_bytes", "resends", "implausible"];

export function mount(root, ctx) {
  root.append(linkCard(ctx), ...framesView(ctx, kind(ctx)).elements);
}

/** Counters of the link, read when the view opens and on a button: they are in /metrics. */
function linkCard(ctx) {
  const { h, t } = ctx;
  const badge = h("span", { class: "badge" }, "…");
  const cells = COUNTERS.map((name) => [name, h("dd", null, "–")]);
  const notice = h("p", { class: "notice", hidden: true, role: "alert", dataset: { tone: "bad" } });
  const again = h("button", { type: "button", onclick: read }, t("refresh"));

  async function read() {
    again.disabled = true;
    try {
      const text = await ctx.api.get("/metrics");
      for (const [name, cell] of cells) {
        const found = new RegExp(`^tinybms_uart_${name}_total (\\d+)`, "m").exec(text);
        ctx.text(cell, ctx.number(found ? Number(found[1]) : null));
      }
      notice.hidden = true;
    } catch (error) {
      if (ctx.signal.aborted) return;
      notice.hidden = false;
      ctx.text(notice, ctx.errorText(error));
    }
    again.disabled = false;
  }
  read();
  ctx.on("state", ({ bms }) => {
    ctx.text(badge, bms.connected ? t("ok") : [t("silent"), ctx.said(bms.reason)].filter(Boolean).join(": "));
    badge.dataset.tone = bms.connected ? "good" : "bad";
  });
  const list = cells.map(([name, cell]) => h("div", null, h("dt", null, t(name)), cell));
  return h("section", { class: "card" }, h("header", null, h("h2", null, t("link")), badge, again), notice, h("dl", { class: "figures" }, list), h("p", { class: "quiet" }, h("small", null, t("sampled"))));
}

/** What frames.js must know of UART. */
function kind(ctx) {
  const { t } = ctx;
  return {
    type: "uart_frame",
    idLabel: t("identifier"),
    idHint: t("id.hint"),
    read(message) {
      const bytes = message.raw.match(/../g) || [];
      const key = bytes[1] ?? "?";
      const name = t("cmd" + key);
      const said = meaning(ctx, message, bytes);
      return {
        key,
        id: "0x" + key,
        name: name === "cmd" + key ? "" : name,
        bytes: bytes.join(" "),
        meaning: said.map(([label, words]) => (label ? `${label} ${words}` : words)).join(" · "),
        details: [[t("length"), String(message.parsed.length)], ...said.map(([label, words]) => [label || t("name"), words])],
      };
    },
    file: (frames) => ({
      name: "uart-*.txt",
      content: frames.map(({ stamp, direction, bytes, meaning: words }) => `${iso(stamp)} ${direction} ${bytes}${words ? "  ; " + words : ""}\n`).join(""),
    }),
  };
}

/** [[label, text]] of what a frame says (tinybms_uart facts 4); a label may be empty. */
function meaning(ctx, { direction, parsed }, bytes) {
  const { t } = ctx;
  const byte = (at) => parseInt(bytes[at], 16);
  const span = (first, count) => ["", count > 1 ? t("registers", { first, last: first + count - 1 }) : t("register", { first })];
  const command = byte(1);
  if (direction === "TX") {
    if (command === 0x03 || command === 0x10) return [span(byte(2) * 256 + byte(3), byte(5))];
    if (command === 0x0d) return [span(byte(3) + byte(4) * 256, byte(2) / 4)];
    return [];
  }
  if (command === 0x00) return [["", t("refused", { command: bytes[2], error: byte(3) })]];
  if (command === 0x01) return [["", t("accepted", { command: bytes[2] })]];
  if (command === 0x10) return [span(byte(2) * 256 + byte(3), byte(5))];
  if (command === 0x12) return [["", t("events", { n: Math.max(0, (byte(2) - 4) / 4) })]];
  const said = [];
  if (parsed.voltage_mv !== undefined) {
    const cells = (parsed.cells || []).filter((mv) => mv !== null);
    said.push([t("voltage"), ctx.number(parsed.voltage_mv === null ? null : parsed.voltage_mv / 1000, 2, "V")]);
    said.push([t("current"), ctx.number(parsed.current_ma === null ? null : parsed.current_ma / 1000, 1, "A")]);
    if (cells.length) said.push([t("cells"), `${cells.length}, ${ctx.number(Math.min(...cells))}–${ctx.number(Math.max(...cells), 0, "mV")}`]);
  } else if (command === 0x03 || command === 0x1d) said.push(["", t("count.registers", { n: byte(2) / 2 })]);
  return said;
}
