// History. What `ctx` has is told in app.js.
export const texts = {
  en: { title: "History" },
  fr: { title: "Historique" },
};

export function mount(root, ctx) {
  const { h } = ctx;
  root.append(h("p", { class: "card" }, "…"));
}
