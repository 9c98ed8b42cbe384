// Zoom and pan with wheel, fingers, mouse and keys. The page goes on scrolling: a wheel zooms only with Ctrl, or where
// somebody has clicked; one finger up or down scrolls, sideways pans.

const KEYS = {
  ArrowLeft: (move) => move.pan(-0.15),
  ArrowRight: (move) => move.pan(0.15),
  PageUp: (move) => move.pan(-0.9),
  PageDown: (move) => move.pan(0.9),
  "+": (move) => move.zoom(0.6),
  "=": (move) => move.zoom(0.6),
  "-": (move) => move.zoom(1 / 0.6),
  End: (move) => move.toEnd(),
  Escape: (move) => move.whole(),
  0: (move) => move.whole(),
};

/** `move`: {pan(part of the span), zoom(factor, at), toEnd(), whole(), step(rows)}; `area` holds the charts. */
export function follow(area, charts, move) {
  const fingers = new Map();
  let panning = null;
  const onPlot = (event) => event.target.closest?.(".plot");

  area.addEventListener("keydown", (event) => {
    if (event.target !== area || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.shiftKey && (event.key === "ArrowLeft" || event.key === "ArrowRight")) move.step(event.key === "ArrowLeft" ? -1 : 1);
    else if (KEYS[event.key]) KEYS[event.key](move);
    else return;
    event.preventDefault();
  });
  area.addEventListener(
    "wheel",
    (event) => {
      if (!onPlot(event)) return;
      const pinch = event.ctrlKey || event.metaKey;
      const sideways = Math.abs(event.deltaX) > Math.abs(event.deltaY);
      const clicked = document.activeElement === area;
      if (!pinch && !event.shiftKey && !sideways && !clicked) return;
      event.preventDefault();
      const size = Math.max(-80, Math.min(80, event.deltaY || event.deltaX));
      if (!pinch && (event.shiftKey || sideways)) move.pan(((sideways ? event.deltaX : event.deltaY) / charts.width) * 0.5);
      else move.zoom(Math.exp(size * (pinch && event.deltaMode === 0 && Math.abs(event.deltaY) < 20 ? 0.012 : 0.004)), charts.timeAt(event.clientX, event.target));
    },
    { passive: false },
  );
  area.addEventListener("pointerdown", (event) => {
    if (!onPlot(event)) return;
    area.focus({ preventScroll: true });
    if (event.pointerType === "touch") fingers.set(event.pointerId, event.clientX);
    else if (event.button === 1 || (event.button === 0 && event.shiftKey)) {
      panning = event.clientX;
      area.setPointerCapture(event.pointerId);
      event.preventDefault();
    }
  });
  area.addEventListener("pointermove", (event) => {
    if (panning !== null) {
      move.pan((panning - event.clientX) / charts.width);
      panning = event.clientX;
      return;
    }
    if (!fingers.has(event.pointerId)) return;
    const before = [...fingers.values()];
    const last = fingers.get(event.pointerId);
    fingers.set(event.pointerId, event.clientX);
    const after = [...fingers.values()];
    if (after.length === 1) move.pan((last - event.clientX) / charts.width);
    else if (after.length === 2) {
      const width = ([a, b]) => Math.max(20, Math.abs(a - b));
      const middle = ([a, b]) => (a + b) / 2;
      move.zoom(width(before) / width(after), charts.timeAt(middle(after), event.target));
      move.pan((middle(before) - middle(after)) / charts.width);
    }
  });
  const up = (event) => {
    fingers.delete(event.pointerId);
    panning = null;
  };
  for (const type of ["pointerup", "pointercancel"]) area.addEventListener(type, up);
}
