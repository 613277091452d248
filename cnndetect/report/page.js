"use strict";
// Tables: a button in every head cell sorts by its column; pressing it again turns the order.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  if (body.rows.length < 2) continue;
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.title = "Sort by this column";
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
// A box that does not scroll need not be a stop of the tab key; one that does says so until its end is in sight.
const boxes = document.querySelectorAll(".scroll, .drawn");
function cue(box) {
  const cut = box.scrollLeft + box.clientWidth < box.scrollWidth - 2;
  (box.parentElement.classList.contains("table") ? box.parentElement : box).classList.toggle("cut", cut);
}
function stops() {
  for (const box of boxes) {
    if (box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
    cue(box);
  }
}
for (const box of boxes) box.addEventListener("scroll", () => cue(box), { passive: true });
stops();
addEventListener("resize", stops);
document.addEventListener("toggle", stops, true);
// A link into something folded opens it; paper has everything open.
function unfold() {
  const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  for (let at = target; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
  target.scrollIntoView();
}
addEventListener("hashchange", unfold);
unfold();
let folded = [];
addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll("details:not([open])")];
  for (const one of folded) one.open = true;
});
addEventListener("afterprint", () => { for (const one of folded) one.open = false; });
// The contents: closed on a narrow screen until asked for, the section in sight marked.
const menu = document.getElementById("menu"), narrow = matchMedia("(max-width: 63.99rem)");
if (menu) {
  const links = new Map([...menu.querySelectorAll("a")].map((link) => [link.hash.slice(1), link]));
  const now = document.querySelector(".now");
  const fit = () => { menu.open = !narrow.matches; };
  fit();
  narrow.addEventListener("change", fit);
  menu.addEventListener("click", (event) => { if (event.target.closest("a") && narrow.matches) menu.open = false; });
  const heads = [...document.querySelectorAll("main h2[id]")].filter((head) => links.has(head.id));
  const mark = () => {
    const current = heads.filter((head) => head.getBoundingClientRect().top < innerHeight / 3).pop();
    for (const link of links.values()) link.removeAttribute("aria-current");
    const link = current && links.get(current.id);
    if (link) link.setAttribute("aria-current", "true");
    now.textContent = link ? link.textContent : "";
  };
  mark();
  addEventListener("scroll", mark, { passive: true });
}
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
