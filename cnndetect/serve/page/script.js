"use strict";
// Files are sent one after another: the page never takes more than one place of the server's queue.
const at = (id) => document.getElementById(id);
const pictures = []; // {file, name, detector, answer, redelivery, error}
let chosen = null, queue = Promise.resolve(), started = 0, done = 0;

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}
const small = (value) => value < 0.001 ? value.toPrecision(1) : value.toFixed(3);
const shown = (value) => value > 0.9995 ? "> 0.999" : value < 0.0005 ? "< 0.001" : value.toFixed(3);
const signed = (value) => (value < 0 ? "−" : "+") + Math.abs(value).toFixed(2);

async function ask(path, file, name, detector) {
  const address = `${path}?detector=${encodeURIComponent(detector)}&name=${encodeURIComponent(name)}`;
  for (let attempt = 0; ; attempt++) {
    let response;
    try {
      response = await fetch(address, { method: "POST", body: file, headers: { "Content-Type": "application/octet-stream" } });
    } catch {
      throw new Error(`${name}: the server cannot be reached. Is it still running?`);
    }
    const answer = await response.json().catch(() => ({ message: `${name}: the server gave no readable answer (${response.status}).` }));
    if (response.ok) return answer;
    if (response.status !== 429 || attempt >= 30) throw new Error(answer.message);
    say("The server is busy; waiting for a place …");
    await new Promise((wake) => setTimeout(wake, 1000 * Number(response.headers.get("Retry-After") || 2)));
  }
}

function say(text) { at("status").textContent = text; }

// A picture that comes alone is opened; of several, the first.
function take(files) { for (const file of files) add(file, file.name, files.length === 1); }

function add(file, name, open) {
  const one = { file, name: name || "pasted picture", detector: at("detector").value };
  pictures.push(one);
  enqueue(one, open);
}

function enqueue(one, open) {
  started += 1;
  queue = queue.then(async () => {
    say(`Scoring ${done + 1} of ${started}: ${one.name} …`);
    try {
      one.answer = await ask("/api/examine", one.file, one.name, one.detector);
    } catch (problem) {
      one.error = problem.message;
    }
    done += 1;
    if (!pictures.includes(one)) return;
    listed();
    if (one.answer && (open || chosen === null)) choose(one);
    if (done === started) finished();
  });
}

function finished() {
  const good = pictures.filter((one) => one.answer), bad = pictures.filter((one) => one.error);
  say(`${good.length} of ${pictures.length} scored${bad.length ? `, ${bad.length} failed` : ""}.`);
}

// The sheet: most fake first, by the logit, for fakeness ties near 1.
function ranked() { return pictures.filter((one) => one.answer).sort((a, b) => b.answer.image.logit - a.answer.image.logit); }

function listed() {
  at("problems").replaceChildren(...pictures.filter((one) => one.error).map((one) => element("li", {}, one.error)));
  const rows = ranked();
  at("sheet").hidden = rows.length < 2;
  at("sheet").querySelector("tbody").replaceChildren(...rows.map((one) => {
    const { image } = one.answer, button = element("button", { type: "button" });
    button.append(element("img", { src: one.answer.preview, alt: "" }), one.name);
    button.addEventListener("click", () => { choose(one); at("detail-title").focus(); });
    const row = element("tr", one === chosen ? { class: "chosen" } : {}, element("th", { scope: "row" }, button),
      element("td", { class: "number" }, shown(image.fakeness)), element("td", {}, pill(image.verdict)),
      element("td", { class: "number" }, `${image.width} × ${image.height}`));
    if (one === chosen) button.setAttribute("aria-current", "true");
    return row;
  }));
  stops();
}

function pill(verdict) { return verdict ? element("span", { class: `pill ${verdict}` }, verdict) : "—"; }

function choose(one) {
  chosen = one;
  const { image, detector, heat, spectrum } = one.answer;
  at("detail").hidden = false;
  at("detail-title").textContent = one.name;
  at("fakeness").textContent = shown(image.fakeness);
  at("verdict").className = `pill ${image.verdict || ""}`;
  at("verdict").textContent = image.verdict || "no threshold";
  at("meaning").textContent = image.meaning;
  band(image, detector.band);
  const facts = { Logit: signed(image.logit), "Calibrated, threshold 0.5": image.calibrated === null ? null : shown(image.calibrated),
    Size: `${image.width} × ${image.height} px`, Detector: detector.name };
  at("facts").replaceChildren(...Object.entries(facts).filter(([, value]) => value !== null).map(([name, value]) =>
    element("div", {}, element("dt", {}, name), element("dd", {}, value))));
  const notes = [...one.answer.notes];
  if (image.piece) notes.unshift(`The picture is large: its middle, ${image.piece.width} × ${image.piece.height} px at its own resolution, was scored.`);
  at("notes").replaceChildren(...notes.map((note) => element("li", {}, note)));
  at("preview").src = one.answer.preview;
  at("preview").alt = `The scored picture, ${one.name}`;
  at("preview").parentElement.className = "stack" + (Math.max(image.width, image.height) < 320 ? " small" : "");
  at("heat").hidden = at("heat-controls").hidden = !heat;
  if (heat) {
    at("heat").src = heat.layer;
    at("heat").alt = `Heat map. ${heat.words}`;
    at("heat-words").textContent = `Orange-red speaks for fake, blue for real; full colour is ${Math.max(Math.abs(heat.low), Math.abs(heat.high)).toFixed(1)} logits. ${heat.words}`;
  } else at("heat-words").textContent = "";
  veil();
  spectra(spectrum);
  listed();
  redeliver(one);
}

// The stronger the map, the less colour the picture keeps of its own.
function veil() {
  at("heat").style.opacity = at("strength").value / 100;
  at("preview").style.filter = at("heat").hidden ? "" : `grayscale(${at("strength").value}%)`;
}

// Fakeness runs over several powers of ten, so the bar has the scale of its logit, as the ticks show.
const SPAN = 12;
const along = (fakeness) => Math.min(100, Math.max(0, 50 + 50 * Math.log(fakeness / (1 - fakeness)) / SPAN));

function band(image, limits) {
  const [real, unsure] = at("band").querySelectorAll(".zone"), [low, high] = limits ? [limits.real_below, limits.fake_above].map(along) : [0, 0];
  at("band").classList.toggle("plain", !limits);
  real.style.width = `${low}%`;
  unsure.style.width = `${high - low}%`;
  at("band").querySelector(".mark").style.left = `${along(image.fakeness)}%`;
  for (const tick of at("ticks").children) tick.style.left = `${along(Number(tick.textContent))}%`;
  const zones = !limits ? "No thresholds" : limits.real_below === limits.fake_above ? `Real below ${small(limits.real_below)}, fake above.`
    : `Real below ${small(limits.real_below)}, fake above ${small(limits.fake_above)}, unsure between them.`;
  at("band").setAttribute("aria-label", `Fakeness ${shown(image.fakeness)} on a scale from 0 to 1. ${zones}`);
  at("zones").textContent = zones;
}

function redeliver(one) {
  const body = at("redelivery").tBodies[0];
  at("redelivery-note").textContent = one.redelivery ? "" : "Being made …";
  if (one.redelivery) return delivered(one);
  body.replaceChildren();
  if (one.asked) return;
  one.asked = true;
  queue = queue.then(async () => {
    let problem = "";
    try {
      one.redelivery = await ask("/api/redelivery", one.file, one.name, one.detector);
    } catch (error) {
      problem = error.message;
      one.asked = false;
    }
    if (chosen !== one) return;
    if (one.redelivery) delivered(one);
    else at("redelivery-note").textContent = problem;
    if (done === started) finished();
  });
}

function delivered(one) {
  const { piece, rows } = one.redelivery;
  at("redelivery-note").textContent = piece ? `Of its middle, ${piece.width} × ${piece.height} px.` : "";
  at("redelivery").tBodies[0].replaceChildren(...rows.map((row) => {
    const bar = element("i");
    bar.style.width = `${along(row.fakeness)}%`; // the scale of the band above
    return element("tr", {}, element("th", { scope: "row" }, row.words),
      element("td", { "aria-hidden": "true" }, element("div", { class: `meter ${row.verdict || ""}` }, bar)),
      element("td", { class: "number" }, shown(row.fakeness)), element("td", {}, pill(row.verdict)),
      element("td", { class: "number" }, row.name === "none" ? "" : signed(row.change)));
  }));
  stops();
}

function spectra(found) {
  at("spectrum").hidden = !found;
  if (!found) return;
  at("spectrum-picture").src = found.picture;
  at("spectrum-picture").alt = `Spectrum of this picture, mean of ${found.squares} squares of ${found.side_px} pixels`;
  at("spectrum-reals").hidden = !found.photographs;
  if (found.photographs) {
    at("spectrum-photographs").src = found.photographs;
    at("spectrum-photographs").alt = `Mean spectrum of ${found.photographs_count} photographs`;
    at("spectrum-reals").querySelector("figcaption").textContent = `mean of ${found.photographs_count} photographs of the embedded suite`;
  }
  document.querySelector(".reals-key").hidden = !found.photographs;
  const { frequency, picture, photographs } = found.profile;
  at("profile").replaceChildren(chart(frequency, picture, photographs));
  at("profile-table").tBodies[0].replaceChildren(...frequency.map((value, place) => element("tr", {},
    ...[value, picture[place], photographs ? photographs[place] : null].map((cell) =>
      element("td", { class: "number" }, cell === null ? "—" : cell.toFixed(3))))));
}

function chart(frequency, picture, photographs) {
  const [width, height, left, bottom, top] = [360, 220, 34, 30, 8], all = [...picture, ...(photographs || [])];
  const low = Math.floor(Math.min(...all)), high = Math.ceil(Math.max(...all) + 0.01);
  const x = (value) => left + (width - left - 8) * value / 0.5, y = (value) => top + (height - top - bottom) * (high - value) / (high - low);
  const svg = (name, attributes, text) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img",
    "aria-label": "Mean log magnitude by frequency of this picture and of photographs; the numbers are in the table below" });
  for (let value = low; value <= high; value += 1) {
    drawing.append(svg("line", { x1: left, x2: width - 8, y1: y(value), y2: y(value), class: "rule" }),
      svg("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" }, String(value).replace("-", "−")));
  }
  for (const value of [0, 0.1, 0.2, 0.3, 0.4, 0.5]) drawing.append(svg("text", { x: x(value), y: height - 12, "text-anchor": "middle" }, String(value)));
  drawing.append(svg("line", { x1: left, x2: width - 8, y1: height - bottom, y2: height - bottom, class: "axis" }));
  const line = (values) => values.map((value, place) => `${x(frequency[place]).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
  if (photographs) drawing.append(svg("polyline", { points: line(photographs), class: "line reals" }));
  drawing.append(svg("polyline", { points: line(picture), class: "line" }));
  return drawing;
}

// CSV as `cnndetect score --csv` writes it. A name that a spreadsheet would take for a formula gets a quote before it.
function csv() {
  const cell = (value) => /[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;
  const named = (name) => cell(/^[=+\-@\t]/.test(name) ? `'${name}` : name);
  const rows = [["path", "fakeness", "logit", "label", "error"].join(",")];
  for (const one of ranked()) rows.push([named(one.name), one.answer.image.fakeness, one.answer.image.logit, one.answer.image.verdict || "", ""].join(","));
  for (const one of pictures.filter((other) => other.error)) rows.push([named(one.name), "", "", "", cell(one.error)].join(","));
  const link = element("a", { href: URL.createObjectURL(new Blob([rows.join("\n") + "\n"], { type: "text/csv" })), download: "scores.csv" });
  link.click();
  URL.revokeObjectURL(link.href);
}

function clear() {
  pictures.length = 0;
  chosen = null;
  started = done = 0;
  at("detail").hidden = true;
  listed();
  say("");
  at("files").focus();
}

// A box that does not scroll need not be a stop of the tab key.
function stops() {
  for (const box of document.querySelectorAll(".scroll")) {
    if (box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
}

async function begin() {
  const local = ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);
  at("where").textContent = local ? "the server on this computer" : `the server ${location.host}`;
  const { detectors } = await (await fetch("/api/detectors")).json();
  at("detector").replaceChildren(...detectors.map((row) => element("option", { value: row.name }, row.title ? `${row.name}: ${row.title}` : row.name)));
  const { examples } = await (await fetch("/api/examples")).json();
  at("examples").hidden = !examples.length;
  at("examples").querySelector("ul").replaceChildren(...examples.map((row) => {
    const button = element("button", { type: "button", title: row.name }, element("img", { src: row.url, alt: "" }), row.words);
    button.addEventListener("click", async () => { add(await (await fetch(row.url)).blob(), `${row.words}: ${row.name}`, true); });
    return element("li", {}, button);
  }));
}

at("files").addEventListener("change", (event) => { take(event.target.files); event.target.value = ""; });
for (const name of ["dragenter", "dragover"]) addEventListener(name, (event) => { event.preventDefault(); at("drop").classList.add("over"); });
addEventListener("dragleave", (event) => { if (!event.relatedTarget) at("drop").classList.remove("over"); });
addEventListener("drop", (event) => { event.preventDefault(); at("drop").classList.remove("over"); take(event.dataTransfer.files); });
addEventListener("paste", (event) => take(event.clipboardData.files));
at("strength").addEventListener("input", veil);
at("csv").addEventListener("click", csv);
at("clear").addEventListener("click", clear);
at("detector").addEventListener("change", () => {
  const open = chosen;
  for (const one of pictures) {
    Object.assign(one, { detector: at("detector").value, answer: undefined, redelivery: undefined, asked: false, error: undefined });
    enqueue(one, one === open);
  }
});
addEventListener("resize", stops);

// Light, dark, or what the system says; remembered together with the report's choice.
const themes = ["auto", "light", "dark"], toggle = at("theme");
function dress(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  toggle.querySelector("span").textContent = theme;
}
let theme = "auto";
try { theme = localStorage.getItem("cnndetect-theme") || "auto"; } catch { /* storage is switched off */ }
if (!themes.includes(theme)) theme = "auto";
toggle.hidden = false;
dress(theme);
toggle.addEventListener("click", () => {
  theme = themes[(themes.indexOf(theme) + 1) % themes.length];
  dress(theme);
  try { localStorage.setItem("cnndetect-theme", theme); } catch { /* storage is switched off */ }
});
begin().then(stops, () => say("The server cannot be reached. Is it still running?"));
