// Cells. What `ctx` has is told in app.js.
export const texts = {
  en: { title: "Cells" },
  fr: { title: "Cellules" },
};

export function mount(root, ctx) {
  const { h } = ctx;
  root.append(h("p", { class: "card" }, "…"));
}
