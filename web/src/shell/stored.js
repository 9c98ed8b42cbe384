// Choices that the browser keeps. Where it keeps nothing (private mode, no permission), they last as long as the page.
const here = {};

export function stored(name, otherwise) {
  try {
    return localStorage.getItem("tinybms." + name) ?? here[name] ?? otherwise;
  } catch {
    return here[name] ?? otherwise;
  }
}

export function store(name, value) {
  here[name] = value;
  try {
    localStorage.setItem("tinybms." + name, value);
  } catch {
    // kept in `here`
  }
}
