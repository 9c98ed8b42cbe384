// UART. What `ctx` has is told in app.js.
export const texts = {
  en: { title: "UART" },
  fr: { title: "UART" },
};

export function mount(root, ctx) {
  const { h } = ctx;
  root.append(h("p", { class: "card" }, "…"));
}
