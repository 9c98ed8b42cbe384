// Below the charts: the summary and the downloads.
import { QUANTITIES } from "./history_charts.js";
import { save, stampForName } from "./save.js";

/** The table for those who do not see charts, and for everybody: {quantity: {min, mean, max, last}} of cells goes into `cells`. */
export function summaryTable(ctx, cells) {
  const { h, t } = ctx;
  const keys = ["min", "mean", "max", "last"];
  const body = QUANTITIES.map(({ name }) => {
    cells.set(name, Object.fromEntries(keys.map((key) => [key, h("td", { class: "n" }, "–")])));
    return h("tr", null, h("th", { scope: "row" }, t(name)), Object.values(cells.get(name)));
  });
  const head = h("tr", null, h("th", { scope: "col" }, t("quantity")), keys.map((key) => h("th", { scope: "col", class: "n" }, t(key))));
  const table = h("table", null, h("thead", null, head), h("tbody", null, body));
  return h("section", { class: "card" }, h("h2", null, t("summary")), h("div", { class: "table-wrap", tabindex: "0", role: "region", "aria-label": t("summary") }, table));
}

/** Buttons that save what is shown (`shown()` gives the CSV or null) and the files of the gateway. */
export function downloads(ctx, shown) {
  const { h, t } = ctx;
  const said = h("p", { class: "quiet", role: "status" });
  const keep = (name, content, size) => {
    save(name, content, "text/csv");
    ctx.text(said, t("saved", { name, size: ctx.bytes(size) }));
  };
  const saveShown = () => {
    const content = shown();
    if (content) keep(`tinybms-gw-${stampForName()}.csv`, content, content.length);
  };

  async function fetchFile(button, resolution) {
    button.disabled = true;
    ctx.text(said, t("preparing"));
    await ctx.attempt(async () => {
      const answer = await ctx.api.get("/api/history/download?resolution=" + resolution, { raw: true, timeout: 60000 });
      const content = await answer.blob();
      keep(`tinybms-gw-${resolution}-${stampForName()}.csv`, content, content.size);
    });
    if (said.textContent === t("preparing")) ctx.text(said, "");
    button.disabled = false;
  }

  const file = (name) => h("button", { type: "button", onclick: (event) => fetchFile(event.currentTarget, name) }, t("file." + name));
  const buttons = h("div", { class: "buttons" }, h("button", { type: "button", onclick: saveShown }, t("shown")), ["live", "1m", "15m"].map(file));
  return h("section", { class: "card files" }, h("h2", null, t("download")), buttons, said);
}
