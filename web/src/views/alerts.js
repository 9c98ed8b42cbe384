// Alerts. What `ctx` has is told in app.js.
export const texts = {
  en: { title: "Alerts" },
  fr: { title: "Alertes" },
};

export function mount(root, ctx) {
  const { h } = ctx;
  root.append(h("p", { class: "card" }, "…"));
}
