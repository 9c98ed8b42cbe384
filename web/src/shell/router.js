// Hash routes: #/view/more?key=value. Views are loaded when they are first shown; one is mounted at a time.

/** {view, path: [words after it], query: URLSearchParams} of a hash. */
export function parse(hash) {
  const [path, query] = hash.replace(/^#\/?/, "").split("?");
  const [view, ...rest] = path.split("/").map(decodeURIComponent);
  return { view: view || "overview", path: rest, query: new URLSearchParams(query || "") };
}

/** `show(route, byUser)` shows a route; `mayLeave()` resolves to false when somebody wants to stay. */
export function startRouter(show, mayLeave) {
  let current = location.hash;
  show(parse(current), false);
  addEventListener("hashchange", async () => {
    const wanted = location.hash;
    if (wanted === current) return;
    history.replaceState(null, "", current || "#/overview"); // the page that is still shown
    if (!(await mayLeave())) return;
    history.replaceState(null, "", wanted);
    current = wanted;
    show(parse(wanted), true);
  });
}
