"use strict";
for (const box of document.querySelectorAll("[data-zoom]")) {
  const svg = box.querySelector("svg");
  const all = svg.viewBox.baseVal;
  const home = [all.x, all.y, all.width, all.height];
  let view = home.slice();
  const show = () => {
    svg.setAttribute("viewBox", view.map(n => n.toFixed(2)).join(" "));
    box.classList.toggle("zoomed", view[2] < home[2]);
  };
  const zoom = (factor, cx = 0.5, cy = 0.5) => {
    const w = Math.min(home[2], Math.max(home[2] / 12, view[2] * factor));
    const h = w * home[3] / home[2];
    view = [view[0] + (view[2] - w) * cx, view[1] + (view[3] - h) * cy, w, h];
    if (w >= home[2]) view = home.slice();
    show();
  };
  const move = (dx, dy) => {
    const keep = (v, lo, hi) => Math.min(hi, Math.max(lo, v));
    view[0] = keep(view[0] + dx * view[2], home[0] - view[2] / 2, home[0] + home[2] - view[2] / 2);
    view[1] = keep(view[1] + dy * view[3], home[1] - view[3] / 2, home[1] + home[3] - view[3] / 2);
    show();
  };
  const act = { in: () => zoom(0.7), out: () => zoom(1 / 0.7), reset: () => { view = home.slice(); show(); } };
  for (const b of box.querySelectorAll("[data-act]")) b.addEventListener("click", act[b.dataset.act]);
  svg.addEventListener("keydown", e => {
    const keys = { "+": act.in, "=": act.in, "-": act.out, "0": act.reset,
      ArrowLeft: () => move(-0.1, 0), ArrowRight: () => move(0.1, 0), ArrowUp: () => move(0, -0.1), ArrowDown: () => move(0, 0.1) };
    if (e.target !== svg || e.ctrlKey || e.metaKey || e.altKey || !keys[e.key]) return;
    e.preventDefault();
    keys[e.key]();
  });
  svg.addEventListener("wheel", e => {
    if (!e.ctrlKey && !e.metaKey) return;
    e.preventDefault();
    const r = svg.getBoundingClientRect();
    zoom(e.deltaY < 0 ? 0.85 : 1 / 0.85, (e.clientX - r.left) / r.width, (e.clientY - r.top) / r.height);
  }, { passive: false });
  let from = null, dragged = false;
  svg.addEventListener("pointerdown", e => { if (e.button === 0 && view[2] < home[2]) { from = [e.clientX, e.clientY]; dragged = false; } });
  addEventListener("pointermove", e => {
    if (!from) return;
    const r = svg.getBoundingClientRect(), dx = e.clientX - from[0], dy = e.clientY - from[1];
    if (!dragged && Math.hypot(dx, dy) < 5) return;
    dragged = true;
    move(-dx / r.width, -dy / r.height);
    from = [e.clientX, e.clientY];
  });
  addEventListener("pointerup", () => { from = null; });
  svg.addEventListener("dragstart", e => e.preventDefault());
  svg.addEventListener("click", e => { if (dragged) { e.preventDefault(); dragged = false; } });
}
const open = () => {
  const step = location.hash.startsWith("#step-") && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (step) { step.open = true; step.querySelector("summary").focus({ preventScroll: true }); step.scrollIntoView(); }
};
addEventListener("hashchange", open);
open();
