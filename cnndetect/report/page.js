"use strict";
// Tables: a button in every head cell sorts by its column; pressing it again turns the order.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  if (body.rows.length < 2) continue;
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const numeric = [...body.rows].some((row) => row.cells[column].dataset.key !== undefined);
      // The first press of a column of numbers shows the largest first.
      const first = numeric ? "descending" : "ascending";
      const order = !head.hasAttribute("aria-sort") ? first : head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", order);
      const turn = order === "ascending" ? 1 : -1;
      const rows = [...body.rows].sort((a, b) => turn * compare(a.cells[column], b.cells[column], turn));
      body.append(...rows);
    });
  });
}
function compare(a, b, turn) {
  if (a.dataset.key === undefined && b.dataset.key === undefined) {
    return a.textContent.localeCompare(b.textContent, "en", { numeric: true });
  }
  const x = Number(a.dataset.key), y = Number(b.dataset.key);
  // What has no number stays at the end in both orders.
  if (Number.isNaN(x) || Number.isNaN(y)) return turn * (Number.isNaN(x) - Number.isNaN(y));
  return x - y;
}
// A box that does not scroll need not be a stop of the tab key.
function stops() {
  for (const box of document.querySelectorAll(".scroll, .picture, .drawn")) {
    if (box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
}
stops();
addEventListener("resize", stops);
// Light, dark, or what the system says.
const toggle = document.getElementById("theme"), themes = ["auto", "light", "dark"];
function show(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  toggle.querySelector("span").textContent = theme;
}
function remembered() { try { return localStorage.getItem("cnndetect-theme") || "auto"; } catch { return "auto"; } }
let theme = remembered();
if (!themes.includes(theme)) theme = "auto";
toggle.hidden = false;
show(theme);
toggle.addEventListener("click", () => {
  theme = themes[(themes.indexOf(theme) + 1) % themes.length];
  show(theme);
  try { localStorage.setItem("cnndetect-theme", theme); } catch { /* a page from disk may not keep anything */ }
});
