"use strict";
document.documentElement.classList.add("script");
addEventListener("DOMContentLoaded", () => {
  const find = s => document.querySelector(s);
  const body = find("#table tbody"), form = find(".filter"), input = find(".filter input"), more = find(".more");
  const rows = [...body.rows].map(row => ({ row, name: row.cells[0].textContent, state: row.cells[2].textContent, text: row.textContent.toLowerCase() }));
  const byName = new Map(rows.map(r => [r.name, r.row])), few = 200;
  let order = rows, most = few, state = "";
  const show = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(w => w);
    let found = 0;
    for (const r of order) {
      const fits = (!state || r.state === state) && words.every(w => r.text.includes(w));
      r.row.hidden = !fits || ++found > most;
    }
    find(".filter output").textContent = found > most ? `${most} of ${found} are shown` : `${found} of ${rows.length} clusters`;
    more.hidden = found <= most;
    for (const b of form.querySelectorAll("[value]")) b.setAttribute("aria-pressed", b.value === state);
  };
  const collator = new Intl.Collator("en", { numeric: true });
  find("#table thead").querySelectorAll("th").forEach((th, column) => {
    const button = document.createElement("button"), numbers = th.classList.contains("n");
    button.type = "button";
    button.append(...th.childNodes);
    th.append(button);
    button.addEventListener("click", () => {
      const was = th.getAttribute("aria-sort"), down = was ? was === "ascending" : numbers;
      for (const other of find("#table thead").querySelectorAll("[aria-sort]")) other.removeAttribute("aria-sort");
      th.setAttribute("aria-sort", down ? "descending" : "ascending");
      for (const r of rows) {
        const text = r.row.cells[column].textContent;
        r.key = numbers ? parseFloat(text) : text;
      }
      const none = r => r.key === "" || Number.isNaN(r.key);
      order = [...rows].sort((a, b) => none(a) - none(b) || (down ? -1 : 1) * (numbers ? a.key - b.key || 0 : collator.compare(a.key, b.key)));
      body.append(...order.map(r => r.row));
      show();
    });
  });
  const go = () => {
    const row = location.hash.startsWith("#c") && document.getElementById(location.hash.slice(1));
    if (!row || row.parentNode !== body) return;
    if (row.hidden) {
      input.value = state = "";
      most = Math.max(most, order.findIndex(r => r.row === row) + 1);
      show();
    }
    row.scrollIntoView({ block: "center" });
  };
  input.addEventListener("input", () => { most = few; show(); });
  form.addEventListener("submit", e => e.preventDefault());
  form.addEventListener("click", e => {
    const b = e.target.closest("button");
    if (!b) return;
    if (b === more) most = Infinity;
    else { state = state === b.value ? "" : b.value; most = few; }
    show();
  });
  for (const map of document.querySelectorAll(".map")) map.addEventListener("click", e => {
    const row = e.target.title && byName.get(e.target.title.split("\n")[0]);
    if (row) { location.hash = row.id; go(); }
  });
  addEventListener("hashchange", go);
  form.hidden = false;
  show();
  document.documentElement.classList.remove("script");
  go();
});
