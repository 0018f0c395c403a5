// What part of the run is seen, where each lane lies, and which messages are shown.

const canvas = document.getElementById("lanes");
const map = document.getElementById("map");
const GUTTER = 124;  // the names of the lanes
const AXIS = 26;     // the time, above the lanes
const FAULT_ROW = 17;
const SHORTEST_VIEW = 2000;  // ns

const view = {
  from: 0, to: END,      // the window of time
  scroll: 0,             // of the lanes, px
  mouse: null,           // {x, y}, over the lanes
  marking: null,         // {from, to}: what is being marked to zoom to
  hover: null, selected: null,
  width: 100, height: 100,
  shownCategories: CATEGORIES.map(() => true),
  shownFates: FATES.map(() => true),
  shown: { commits: true, applies: true, syncs: true, logs: true, operations: true, faults: true },
  search: "",
  matches: null,         // by text id, of the search
  visible: 0,            // messages in the window, when it was drawn last
};

const xOf = (t) => GUTTER + ((t - view.from) * (view.width - GUTTER)) / (view.to - view.from);
const timeAt = (x) => view.from + ((x - GUTTER) * (view.to - view.from)) / (view.width - GUTTER);

function look(from, to) {
  const length = Math.min(Math.max(to - from, SHORTEST_VIEW), END);
  view.from = Math.min(Math.max(from, 0), END - length);
  view.to = view.from + length;
  redraw();
}
function zoom(factor, at) {
  const length = Math.min(Math.max((view.to - view.from) * factor, SHORTEST_VIEW), END);
  const part = (at - view.from) / (view.to - view.from);
  look(at - length * part, at + length * (1 - part));
}
function pan(part) {
  const step = (view.to - view.from) * part;
  look(view.from + step, view.to + step);
}
// Shows a moment with some room around it; keeps the zoom if that is near enough already.
function lookAt(t, end) {
  const length = Math.min(view.to - view.from, Math.max((end - t) * 3, 4e8));
  const middle = end - t < length ? (t + end) / 2 : t + length * 0.4;
  look(middle - length / 2, middle + length / 2);
}

// --- Layout: lanes of one group have one height; they share the room that there is ---

const HEIGHTS = { meta: [64, 104], chunk: [25, 46], client: [32, 58], other: [18, 24] };
let lanes = [];
let lanesHeight = 0;

function faultsHeight() {
  return view.shown.faults && faults.length > 0 ? FAULT_ROWS * FAULT_ROW + 8 : 0;
}
function layOut() {
  const shown = GROUPS.flatMap((group) => nodes.filter((node) => node.group === group && !node.folded));
  const least = shown.reduce((sum, node) => sum + HEIGHTS[node.group][0], 0);
  const most = shown.reduce((sum, node) => sum + HEIGHTS[node.group][1], 0);
  const room = view.height - AXIS - faultsHeight() - 8;
  const part = most > least ? Math.min(Math.max((room - least) / (most - least), 0), 1) : 0;
  lanes = [];
  let top = 4;
  for (const node of shown) {
    const [small, large] = HEIGHTS[node.group];
    const height = small + (large - small) * part;
    lanes.push({ node, top, height, middle: top + height / 2 });
    node.lane = lanes[lanes.length - 1];
    top += height;
  }
  for (const node of nodes) if (!shown.includes(node)) node.lane = null;
  lanesHeight = top + 4;
  view.scroll = Math.min(Math.max(view.scroll, 0), Math.max(0, lanesHeight - (view.height - AXIS - faultsHeight())));
}
const laneShift = () => AXIS + faultsHeight() - view.scroll;
const yOf = (node) => node.lane.middle + laneShift();
const bandOf = (node) => (node.group === "meta" ? 20 : node.group === "client" ? 18 : 9);

// --- Which messages are shown ---

function isShown(i) {
  if (!view.shownCategories[message.category[i]] || !view.shownFates[message.fate[i]]) return false;
  const from = nodeByIndex[message.from[i]];
  const to = nodeByIndex[message.to[i]];
  if (!from || !to || !from.lane || !to.lane || from.hidden || to.hidden || from === to) return false;
  return view.matches === null || view.matches[message.label[i]] === 1 || view.matches[message.detail[i]] === 1;
}

// Calls `visit(i)` for each message that is shown and under way at some moment of the window.
function eachVisibleMessage(visit) {
  const begin = lowerBound(message.t, view.from - message.longest);
  for (let i = begin; i < message.count && message.t[i] <= view.to; ++i) {
    if (message.end[i] >= view.from && isShown(i)) visit(i);
  }
}

function search(text) {
  view.search = text;
  const wanted = text.trim().toLowerCase();
  view.matches = wanted === "" ? null : Uint8Array.from(TEXT, (t) => (t.toLowerCase().includes(wanted) ? 1 : 0));
  redraw();
}

// --- The theme's colours, and a hue for each term ---

let colors = {};
function readColors() {
  const style = getComputedStyle(document.documentElement);
  colors = {};
  for (const name of ["ground", "panel", "lane", "line", "ink", "faint", "accent", "good", "warn", "bad", "down", "shade",
    "election", "append", "heartbeat", "client", "data", "server", "commit", "apply", "sync", "refused"]) {
    colors["--" + name] = style.getPropertyValue("--" + name).trim();
  }
}
const isDark = () => document.documentElement.dataset.theme === "dark";
const HUES = [212, 28, 150, 285, 48, 185, 335, 95];
function termColor(term, role) {
  const hue = HUES[Number(term) % HUES.length];
  if (role === ROLE.LEADER) return `hsl(${hue} ${isDark() ? "62% 52%" : "68% 45%"})`;
  if (role === ROLE.FOLLOWER) return `hsl(${hue} ${isDark() ? "30% 27%" : "62% 88%"})`;
  return `hsl(${hue} ${isDark() ? "45% 38%" : "70% 72%"})`;
}

// --- Time in words ---

function formatTime(t, digits) {
  return (t / 1e9).toFixed(digits) + " s";
}
function formatDuration(ns) {
  if (ns < 1e3) return ns + " ns";
  if (ns < 1e6) return (ns / 1e3).toFixed(1) + " \u00b5s";
  if (ns < 1e9) return (ns / 1e6).toFixed(ns < 1e7 ? 2 : 1) + " ms";
  return (ns / 1e9).toFixed(2) + " s";
}
