// The update: upload with progress, what the gateway does with it, the restart, and the version that runs then.
import { card, sayRestart } from "./form.js";

/** Send `file` as the form of POST /api/ota; `told(percent)` while it goes. Gives the answer, throws ApiError. */
function upload(ctx, file, told) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const form = new FormData();
    form.append("firmware", new Blob([file], { type: "application/octet-stream" }), file.name);
    const refuse = (status, said) => reject(new ctx.ApiError(status, said.code || "HTTP_" + status, said.error || "HTTP " + status, said.details));
    request.upload.onprogress = (event) => event.lengthComputable && told((event.loaded / event.total) * 100);
    request.onerror = () => refuse(0, { code: "NO_ANSWER", error: "The gateway does not answer" });
    request.onload = () => {
      let said = {};
      try {
        said = JSON.parse(request.responseText);
      } catch {
        // not from our API
      }
      if (request.status === 200) resolve(said);
      else refuse(request.status, said);
    };
    request.open("POST", "/api/ota");
    request.setRequestHeader("X-Requested-With", "page");
    if (ctx.api.authorization()) request.setRequestHeader("Authorization", ctx.api.authorization());
    request.send(form);
  });
}

const sum = (steps, name, percent) => {
  const at = steps.indexOf(name);
  return at < 0 ? 0 : ((at + percent / 100) / steps.length) * 100;
};
const STEPS = ["RECEIVING", "CHECKING", "WRITING", "VERIFYING"];

export function updateCard(ctx) {
  const { h, t, api } = ctx;
  const input = h("input", { type: "file", id: "update-file", accept: ".bundle,.app-bin,.bin", onchange: () => ((go.disabled = !input.files[0]), say("", "")) });
  const go = h("button", { class: "primary", disabled: true }, t("update.go"));
  const bar = h("progress", { max: 100, value: 0, "aria-label": t("card.update") });
  const phase = h("p", { role: "status" });
  const work = h("div", { class: "work", hidden: true }, bar, phase);
  const result = h("div", { class: "notice" });
  let busy = false;

  const say = (tone, ...parts) => {
    result.dataset.tone = tone;
    result.replaceChildren(...parts.filter(Boolean));
  };
  const show = (step, percent) => {
    bar.value = Math.max(bar.value, sum(STEPS, step, percent));
    ctx.text(phase, `${t("step." + step)} ${ctx.number(percent, 0, "%")}`);
  };

  async function ready({ version, partition }) {
    const restart = h("button", { type: "button", class: "primary", onclick: start }, t("update.restart"));
    const info = h("span", null, t("update.ready", { version }), " ");
    say("good", info, restart);
    async function start() {
      if (!(await ctx.confirm({ title: t("update.restart.title"), text: [t("update.restart.text", { version }), t("update.trial")], action: t("update.restart") }))) return;
      if (!(await ctx.attempt(() => api.post("/api/system/restart", { target: "gateway" })))) return;
      const now = await sayRestart(ctx, result);
      if (now && now !== "still") {
        const slot = partition.startsWith("slot_"); // else MicroPython itself, whose bootloader decides
        const good = !slot || now.slot === partition;
        const runs = slot ? now.slots.versions[now.slot] : now.version;
        say(good ? "good" : "bad", t(good ? "update.runs" : "update.runsnot", { version: runs }), " ", h("button", { type: "button", onclick: () => location.reload() }, t("update.reload")));
      }
    }
  }

  async function send(event) {
    event.preventDefault();
    const [file] = input.files;
    if (!file || busy) return;
    const question = { title: t("update.title"), text: [t("update.text", { name: file.name, size: ctx.bytes(file.size) }), t("update.idle")], action: t("update.go") };
    if (!(await ctx.confirm(question))) return;
    busy = true;
    go.disabled = input.disabled = true;
    say("");
    work.hidden = false;
    bar.value = 0;
    try {
      if ((await api.get("/api/auth/status")).password_set) await api.get("/api/auth/check"); // before the file goes
      show("RECEIVING", 0);
      const done = await upload(ctx, file, (percent) => show("RECEIVING", percent));
      bar.value = 100;
      ctx.text(phase, t("step.READY"));
      ready(done);
    } catch (error) {
      if (ctx.signal.aborted) return;
      work.hidden = true;
      const low = error.code === "LOW_MEMORY" && h("button", { type: "button", onclick: updateMode }, t("update.mode"));
      say("bad", h("span", { role: "alert" }, ctx.errorText(error), " ", h("small", { class: "quiet" }, error.code ?? "")), low);
    }
    busy = false;
    go.disabled = input.disabled = false;
  }

  async function updateMode() {
    if (!(await ctx.confirm({ title: t("update.mode"), text: t("update.mode.text"), action: t("update.mode") }))) return;
    if (await ctx.attempt(() => api.post("/api/system/restart", { target: "gateway", update_mode: true }))) sayRestart(ctx, result);
  }

  ctx.on("system_event", ({ event, data }) => {
    if (event !== "OTA_PROGRESS" || !STEPS.includes(data.state)) return;
    work.hidden = false;
    if (!busy || data.state !== "RECEIVING") show(data.state, data.percent);
  });
  ctx.dirty(() => busy);
  return card(ctx, "update", async (inner) => {
    inner.replaceChildren(
      h("form", { class: "form", onsubmit: send }, h("div", { class: "field" }, h("label", { for: input.id }, t("update.file")), input, h("small", null, t("update.hint"))), h("div", { class: "buttons" }, go)),
      work,
      result,
    );
    const ota = await ctx.attempt(() => api.get("/api/ota"), { quiet: true });
    if (!ota) return;
    if (ota.reboot_required) ready(ota);
    else if (ota.state === "FAILED") say("bad", `${t("update.failed")}: ${ctx.said(ota.error)}`);
  }, { height: 130 }); // prettier-ignore
}
