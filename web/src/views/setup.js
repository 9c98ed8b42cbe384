// First steps. What `ctx` has is told in app.js.
export const texts = {
  en: { title: "First steps" },
  fr: { title: "Premiers pas" },
};

export function mount(root, ctx) {
  const { h } = ctx;
  root.append(h("p", { class: "card" }, "…"));
}
