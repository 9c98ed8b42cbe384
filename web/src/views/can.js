// CAN bus. What `ctx` has is told in app.js.
export const texts = {
  en: { title: "CAN bus" },
  fr: { title: "Bus CAN" },
};

export function mount(root, ctx) {
  const { h } = ctx;
  root.append(h("p", { class: "card" }, "…"));
}
