// Light or dark: as the system says, or as somebody chose.
import { stored, store } from "./stored.js";

const system = matchMedia("(prefers-color-scheme: dark)");
let chosen = stored("theme", "");

export const themeChoice = () => chosen;

/** Calls of `changed` tell charts to take their colours again. */
export function startTheme(changed) {
  const apply = () => {
    document.documentElement.dataset.theme = chosen || (system.matches ? "dark" : "light");
    changed();
  };
  system.addEventListener?.("change", apply);
  apply();
  return (value) => {
    chosen = value;
    store("theme", value);
    apply();
  };
}
