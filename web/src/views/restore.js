// Backup and restore of the configuration. What a file changes is shown before anything is stored.
import { card, flat, sayRestart, shown } from "./form.js";
import { save, stampForName } from "./save.js";

const MASK = "********";
const FORMAT = "tinybms-gw-config";

/** [{key, row, old, now}] of what restoring the backup `object` changes: as the gateway does it, keys that are missing go to
 *  their defaults, secrets that are masked or missing stay. */
export function differences(object, rows, values) {
  const given = flat(object.config);
  const found = [];
  for (const [key, row] of rows) {
    const old = values[key];
    let now = key in given ? given[key] : row.secret ? old : row.default;
    if (row.secret && now === MASK) now = old;
    if (now !== old && !(row.secret && now && old && now === old)) found.push({ key, row, old, now });
  }
  if (given["auth.password_hash"]) found.push({ key: "auth.password", row: { key: "auth.password", secret: true }, old: MASK, now: MASK });
  return found;
}

export function restoreCard(ctx, loaded, again) {
  const { h, t, api } = ctx;
  const place = h("div", { class: "notice", role: "status" });
  const secrets = h("input", { type: "checkbox", id: "backup-secrets" });

  async function download() {
    const answer = await ctx.attempt(() => api.get("/api/config/backup" + (secrets.checked ? "?secrets=1" : ""), { raw: true }));
    if (answer) save(`tinybms-gw-${stampForName()}.json`, await answer.blob());
  }

  async function read() {
    const [file] = input.files;
    if (!file) return;
    place.replaceChildren();
    try {
      const text = await file.text();
      let object;
      try {
        object = JSON.parse(text);
      } catch {
        throw new Error(t("restore.nojson"));
      }
      if (object?.format !== FORMAT || typeof object.config !== "object") throw new Error(t("restore.other"));
      await preview(file.name, object, text);
    } catch (error) {
      if (ctx.signal.aborted) return;
      place.dataset.tone = "bad";
      place.replaceChildren(h("span", { role: "alert" }, ctx.errorText(error)));
    } finally {
      input.value = "";
    }
  }

  async function preview(name, object, text) {
    const { rows } = await loaded;
    const values = flat(await api.get("/api/config"));
    const changes = differences(object, rows, values);
    const restart = changes.some(({ row }) => row.restart);
    if (!changes.length) {
      place.dataset.tone = "good";
      return place.replaceChildren(t("restore.same"));
    }
    const words = (key) => (t(key) === key ? key : t(key));
    const line = ({ key, row, old, now }) =>
      h("tr", null, h("th", { scope: "row" }, words(key), " ", h("small", { class: "quiet" }, words(key) === key ? "" : key)), h("td", null, shown(ctx, row, old)), h("td", null, shown(ctx, row, now)));
    const table = h(
      "div",
      { class: "table-wrap" },
      h("table", { class: "changes" }, h("thead", null, h("tr", null, h("th", { scope: "col" }, t("restore.key")), h("th", { scope: "col" }, t("restore.old")), h("th", { scope: "col" }, t("restore.new")))), h("tbody", null, changes.map(line))),
    );
    const go = await ctx.dialog(
      t("restore.title"),
      (close) => [
        h("p", null, t("restore.text", { n: changes.length, name })),
        table,
        restart && h("p", null, t("restart.text", { names: t("restore.pins") }), " ", t("restart.can")),
        h("div", { class: "buttons" }, h("button", { type: "button", autofocus: true, onclick: () => close(false) }, t("cancel")), h("button", { type: "button", class: "danger", onclick: () => close(true) }, t("restore.go"))),
      ],
      { danger: true, wide: true },
    );
    if (!go) return;
    await api.post("/api/config/restore", text, { headers: { "Content-Type": "application/json" } });
    ctx.toast(t("restore.done"), "good");
    if (restart) await sayRestart(ctx, place);
    if (!ctx.signal.aborted) again();
  }

  const input = h("input", { type: "file", accept: ".json,application/json", id: "restore-file", onchange: read });
  return card(ctx, "backup", (inner) =>
    inner.replaceChildren(
      h("div", { class: "form" }, h("label", { class: "tick", for: secrets.id }, secrets, h("span", null, t("backup.secrets"))), h("small", { class: "quiet" }, t("backup.hint"))),
      h("div", { class: "buttons" }, h("button", { type: "button", onclick: download }, t("backup.go"))),
      h("hr"),
      h("div", { class: "field" }, h("label", { for: input.id }, t("restore.file")), input, h("small", null, t("restore.hint"))),
      place,
    ),
  );
}
