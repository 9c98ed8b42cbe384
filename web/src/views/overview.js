// Overview. What `ctx` has is told in app.js.
export const texts = {
  en: { title: "Overview" },
  fr: { title: "Vue d’ensemble" },
};

export function mount(root, ctx) {
  const { h } = ctx;
  root.append(h("p", { class: "card" }, "…"));
}
