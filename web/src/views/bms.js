// TinyBMS settings. What `ctx` has is told in app.js.
export const texts = {
  en: { title: "TinyBMS settings" },
  fr: { title: "Réglages TinyBMS" },
};

export function mount(root, ctx) {
  const { h } = ctx;
  root.append(h("p", { class: "card" }, "…"));
}
