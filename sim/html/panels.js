// The page around the picture: its head, the story, what is shown, the legend, the details.

const element = (id) => document.getElementById(id);

// --- The head ---

element("name").innerHTML = `<b>${escape(RUN.scenario)}</b>, seed ${escape(RUN.seed)}` +
  (RUN.mutant ? `, with the planted bug <b>${escape(RUN.mutant)}</b>` : "");
element("name").title = `${RUN.shows}\n${RUN.command}`;
const verdict = element("verdict");
verdict.textContent = RUN.failure ? `FAILED: ${RUN.failure}` : "all checks passed";
verdict.title = RUN.failure;
verdict.classList.add(RUN.failure ? "bad" : "good");
element("facts").textContent = [RUN.shows, `${message.count.toLocaleString("en")} messages in ${formatTime(END, 1)} of virtual time`,
  RUN.truncated ? "later events were not kept" : "", `digest ${RUN.digest}`].filter((s) => s).join("  \u00b7  ");

// --- Tabs ---

function openTab(name) {
  for (const button of document.querySelectorAll("nav button")) button.classList.toggle("on", button.dataset.tab === name);
  for (const tab of document.querySelectorAll(".tab")) tab.classList.toggle("on", tab.id === name);
  view.tab = name;
  rememberView();
}
for (const button of document.querySelectorAll("nav button")) button.onclick = () => openTab(button.dataset.tab);

// --- What happened ---

const MOST_ENTRIES = 3000;
const shownKinds = { verdict: true, fault: true, election: true, crash: false, failure: true, log: false };
let entryAt = -1;  // the entry that was chosen last
let entries = [];

function fillStory() {
  const box = element("story");
  const kinds = Object.keys(STORY_KINDS).map((kind) => {
    const count = story.filter((e) => e.kind === kind).length;
    return `<label class="row"><input type="checkbox" data-kind="${kind}" ${shownKinds[kind] ? "checked" : ""}>
      ${STORY_KINDS[kind]}<span class="count">${count}</span></label>`;
  });
  entries = story.filter((e) => shownKinds[e.kind]).slice(0, MOST_ENTRIES);
  const rows = entries.map((e, i) => `<div class="entry${i === entryAt ? " on" : ""}" data-i="${i}">
    <time>${(e.t / 1e9).toFixed(3)}</time><span class="dot" style="background:${colors[e.color]}"></span>
    <span class="what">${escape(e.text)}</span></div>`);
  box.innerHTML = `<p>Choose an entry to go there; <kbd>n</kbd> and <kbd>p</kbd> step through them. Times are seconds
    of the run.</p>${kinds.join("")}<h3>In order</h3>${rows.join("") || "<p>Nothing out of the ordinary.</p>"}`;
}
element("story").addEventListener("change", (event) => {
  shownKinds[event.target.dataset.kind] = event.target.checked;
  entryAt = -1;
  fillStory();
});
element("story").addEventListener("click", (event) => {
  const row = event.target.closest(".entry");
  if (row) choose(Number(row.dataset.i));
});
function choose(i) {
  if (i < 0 || i >= entries.length) return;
  entryAt = i;
  for (const row of element("story").querySelectorAll(".entry")) row.classList.toggle("on", Number(row.dataset.i) === i);
  const row = element("story").querySelector(".entry.on");
  if (row) row.scrollIntoView({ block: "nearest" });
  const entry = entries[i];
  if (entry.subject && entry.subject.type) select(entry.subject);
  lookAt(entry.t, entry.subject && entry.subject.type === "fault" ? Math.min(entry.subject.end, entry.t + 2e9) : entry.t);
}
function step(by) {
  if (entryAt < 0) {
    const first = entries.findIndex((e) => e.t >= view.from);
    return choose(by > 0 ? Math.max(first, 0) : first - 1);
  }
  choose(entryAt + by);
}

// --- What is shown ---

const row = (input, words, count, color) => `<label class="row">${input}${color ? `<span class="swatch" style="background:${color}"></span>` : ""}
  ${words}${count === undefined ? "" : `<span class="count">${count.toLocaleString("en")}</span>`}</label>`;
const box = (kind, key, on) => `<input type="checkbox" data-set="${kind}" data-key="${key}" ${on ? "checked" : ""}>`;

function fillFilter() {
  const byCategory = CATEGORIES.map(() => 0);
  const byFate = FATES.map(() => 0);
  for (let i = 0; i < message.count; ++i) {
    ++byCategory[message.category[i]];
    ++byFate[message.fate[i]];
  }
  const parts = { commits: "commit points", applies: "apply points", syncs: "disk syncs", logs: "what nodes log",
    operations: "operations of clients", faults: "faults" };
  element("filter").innerHTML = `<h3>Messages about</h3>
    ${CATEGORIES.map((c, i) => byCategory[i] ? row(box("category", i, view.shownCategories[i]), c.name, byCategory[i], colors[c.color]) : "").join("")}
    <div class="only"><button data-only="raft">Raft only</button><button data-only="data">clients and data only</button><button data-only="all">all</button></div>
    <h3>Messages that were</h3>
    ${FATES.map((f, i) => byFate[i] ? row(box("fate", i, view.shownFates[i]), f[0], byFate[i]) : "").join("")}
    <div class="only"><button data-only="bad">only those that did not arrive</button></div>
    <h3>On the lanes</h3>${Object.keys(parts).map((k) => row(box("shown", k, view.shown[k]), parts[k])).join("")}
    <h3>Lanes</h3>${GROUPS.map((group) => laneRows(group)).join("")}
    <p>A click on a node's name in the picture hides its messages only.</p>`;
}
function laneRows(group) {
  const members = nodes.filter((node) => node.group === group);
  if (members.length === 0) return "";
  return row(box("group", group, members.some((n) => !n.folded)), `<b>${GROUP_TITLES[group]}</b>`) +
    `<div class="sub">${members.map((n) => row(box("node", n.index, !n.folded), n.name)).join("")}</div>`;
}
element("filter").addEventListener("change", (event) => {
  const { set, key } = event.target.dataset;
  const on = event.target.checked;
  if (set === "category") view.shownCategories[key] = on;
  if (set === "fate") view.shownFates[key] = on;
  if (set === "shown") view.shown[key] = on;
  if (set === "node") nodeByIndex[key].folded = !on;
  if (set === "group") for (const node of nodes) if (node.group === key) node.folded = !on;
  fillFilter();
  redraw();
});
element("filter").addEventListener("click", (event) => {
  const only = event.target.dataset.only;
  if (!only) return;
  const wanted = { raft: [0, 1, 2], data: [3, 4] }[only];
  if (only === "bad") view.shownFates = FATES.map((f, i) => i >= FATE.LOST);
  else view.shownFates = FATES.map(() => true);
  view.shownCategories = CATEGORIES.map((c, i) => !wanted || wanted.includes(i));
  fillFilter();
  redraw();
});

// --- The legend: each entry drawn as the picture draws it ---

const LEGEND = [
  ["Metadata nodes", null],
  ["\u2605 leader: the full colour of its term", (c) => fill(c, termColor(3, ROLE.LEADER), 4, 16)],
  ["follower: the same colour, pale. Another term has another colour", (c) => fill(c, termColor(3, ROLE.FOLLOWER), 4, 16)],
  ["candidate, or about to be one (pre-vote)", (c) => { fill(c, termColor(4, ROLE.CANDIDATE), 4, 16); hatch(c, colors["--election"]); }],
  ["down: killed, or its power lost", (c) => { fill(c, colors["--down"], 4, 16); hatch(c, colors["--faint"]); }],
  ["above the band: it learns that entries are committed; the number is the index", (c) => triangle(c, colors["--commit"], 1)],
  ["below the band: it has applied them", (c) => triangle(c, colors["--apply"], -1)],
  ["a disk sync: what was written is durable at its end", (c) => fill(c, colors["--sync"], 11, 3)],
  ["Clients", null],
  ["an operation that succeeded", (c) => fill(c, colors["--good"], 4, 16)],
  ["one that failed, as faults excuse", (c) => fill(c, colors["--warn"], 4, 16)],
  ["one that never finished: its client died", (c) => fill(c, colors["--faint"], 4, 16)],
  ["Messages", null],
  ...CATEGORIES.slice(0, 6).map((category) => [category.name, (c) => arrow(c, colors[category.color])]),
  ["late: others may overtake it", (c) => arrow(c, colors["--append"], { dash: [5, 3] })],
  ["lost by chance, or cut off by a partition", (c) => arrow(c, colors["--bad"], { part: 0.55 })],
  ["refused: nobody was there", (c) => arrow(c, colors["--refused"], { part: 1 })],
  ["damaged: a bit flipped on the way", (c) => arrow(c, colors["--bad"], { part: 1 })],
  ["Faults", null],
  ["when it lasts; the lanes of those whom it strikes are shaded", (c) => fill(c, colors["--bad"], 6, 12)],
  ["a line that a node logged", (c) => { c.fillStyle = colors["--faint"]; c.beginPath(); c.arc(32, 12, 3, 0, 7); c.fill(); }],
];
function fill(c, color, y, height) { c.fillStyle = color; c.fillRect(4, y, 56, height); }
function hatch(c, color) {
  c.strokeStyle = color;
  c.lineWidth = 2;
  c.globalAlpha = 0.55;
  c.beginPath();
  for (let x = 8; x < 60; x += 8) { c.moveTo(x - 4, 20); c.lineTo(x + 8, 4); }
  c.stroke();
  c.globalAlpha = 1;
}
function triangle(c, color, way) {
  c.fillStyle = color;
  c.beginPath();
  c.moveTo(32, 12 + 6 * way);
  c.lineTo(26, 12 - 6 * way);
  c.lineTo(38, 12 - 6 * way);
  c.fill();
}
function arrow(c, color, { dash = [], part = 0 } = {}) {
  const [x, y] = part === 0 || part === 1 ? [56, 20] : [6 + 50 * part, 4 + 16 * part];
  c.strokeStyle = c.fillStyle = color;
  c.lineWidth = 1.6;
  c.setLineDash(dash);
  c.beginPath();
  c.moveTo(6, 4);
  c.lineTo(x, y);
  c.stroke();
  c.setLineDash([]);
  c.beginPath();
  if (part > 0) { c.moveTo(x - 4, y - 4); c.lineTo(x + 4, y + 4); c.moveTo(x + 4, y - 4); c.lineTo(x - 4, y + 4); c.stroke(); }
  else { c.moveTo(x + 2, y + 1); c.lineTo(x - 7, y + 1); c.lineTo(x - 4, y - 5); c.fill(); }
}
function fillLegend() {
  const panel = element("legend");
  panel.innerHTML = "<p>Time goes from left to right; each node has a lane. An arrow leaves when its message is sent, and ends when it arrives.</p>" +
    LEGEND.map(([words, paint], i) => (paint ? `<div class="key"><canvas width="128" height="48" data-i="${i}"></canvas><span>${escape(words)}</span></div>`
      : `<h3>${escape(words)}</h3>`)).join("");
  for (const picture of panel.querySelectorAll("canvas")) {
    const c = picture.getContext("2d");
    c.scale(2, 2);
    LEGEND[picture.dataset.i][1](c);
  }
}

// --- Details of what is selected ---

function select(subject) {
  view.selected = subject;
  const panel = element("details");
  if (!subject) {
    panel.innerHTML = '<p class="none">Point at anything to see what it is; click to keep it here.</p>';
    return redraw();
  }
  let html = asHtml(subject);
  if (subject.type === "message") {
    const others = callOf(subject.i).filter((i) => i !== subject.i);
    html += others.map((i) => `<p><a data-message="${i}">${M.kind[i] === 0 ? "the request" : "the reply"}</a>: ${escape(TEXT[message.label[i]])},
      ${escape(FATES[message.fate[i]][0])}, ${escape(TEXT[message.detail[i]])}</p>`).join("");
  }
  html += `<p><a data-zoom="1">Zoom to it</a></p>`;
  panel.innerHTML = html;
  redraw();
}
element("details").addEventListener("click", (event) => {
  const { message: i, zoom: zooms } = event.target.dataset;
  if (i !== undefined) select({ type: "message", i: Number(i), t: message.t[i], end: message.end[i] });
  const room = view.selected ? Math.max(view.selected.end - view.selected.t, 1e6) : 0;
  if (zooms) look(view.selected.t - room, view.selected.t + 2 * room);
  else if (i !== undefined) lookAt(message.t[i], message.end[i]);
});

// --- Theme, search, and the address that remembers the view ---

function applyTheme(name) {
  document.documentElement.dataset.theme = name;
  readColors();
  mapPicture = null;
  fillStory();
  fillFilter();
  fillLegend();
  redraw();
}
function toggleTheme() { applyTheme(isDark() ? "light" : "dark"); }
element("theme").onclick = toggleTheme;
element("fit").onclick = () => look(0, END);
element("help").onclick = () => help.showModal();
element("search").addEventListener("input", (event) => search(event.target.value));

let remembering = 0;
function rememberView() {
  clearTimeout(remembering);
  remembering = setTimeout(() => {
    const hash = `#from=${(view.from / 1e9).toFixed(6)}&to=${(view.to / 1e9).toFixed(6)}&tab=${view.tab}`;
    try { history.replaceState(null, "", hash); } catch { /* a page without an address of its own */ }
  }, 300);
}
function recallView() {
  const asked = new URLSearchParams(location.hash.slice(1));
  openTab(["story", "filter", "legend"].includes(asked.get("tab")) ? asked.get("tab") : "story");
  const [from, to] = [Number(asked.get("from")) * 1e9, Number(asked.get("to")) * 1e9];
  if (to > from) look(from, to); else look(0, END);
}

applyTheme(window.matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
select(null);
recallView();
new ResizeObserver(redraw).observe(element("picture"));
document.documentElement.dataset.ready = "true";
