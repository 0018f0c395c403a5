// Draws the window. What is too dense to be told apart is drawn once for each pixel, so that the cost follows the size
// of the screen and not that of the run.

const front = canvas.getContext("2d");
// Everything but what follows the mouse: the lanes change seldom, the mouse moves often.
const still = document.createElement("canvas");
const stillContext = still.getContext("2d");
let context = front;  // what is drawn on now
const FONT = '11px system-ui, "Segoe UI", "DejaVu Sans", sans-serif';
const FEW_MESSAGES = 90;     // up to so many are labelled
const DENSE_MESSAGES = 1500; // from so many on they fade

let frameAsked = false;
let stillIsOld = true;
function redraw() {
  stillIsOld = true;
  redrawMouse();
}
// Draws anew only what follows the mouse.
function redrawMouse() {
  if (frameAsked) return;
  frameAsked = true;
  requestAnimationFrame(() => {
    frameAsked = false;
    if (stillIsOld) draw(); else drawFrame();
  });
}

function fitCanvas(element, drawing) {
  const ratio = window.devicePixelRatio || 1;
  const { width, height } = element.getBoundingClientRect();
  if (element.width !== Math.round(width * ratio) || element.height !== Math.round(height * ratio)) {
    element.width = Math.round(width * ratio);
    element.height = Math.round(height * ratio);
  }
  drawing.setTransform(ratio, 0, 0, ratio, 0, 0);
  return { width, height };
}

function draw() {
  stillIsOld = false;
  Object.assign(view, fitCanvas(canvas, front));
  still.width = canvas.width;
  still.height = canvas.height;
  stillContext.setTransform(front.getTransform());
  context = stillContext;
  layOut();
  context.font = FONT;
  context.textBaseline = "middle";
  context.fillStyle = colors["--ground"];
  context.fillRect(0, 0, view.width, view.height);
  const top = AXIS + faultsHeight();
  clipped(0, top, view.width, view.height - top, drawLaneGrounds);
  clipped(GUTTER, top, view.width - GUTTER, view.height - top, () => {
    drawStruck();
    drawGrid(top);
    view.visible = drawMessages();
    for (const lane of lanes) drawLane(lane);
    if (view.visible <= FEW_MESSAGES) labelArrows();
  });
  clipped(0, 0, view.width, view.height, drawFaults);
  drawAxis();
  drawFrame();
  drawMap();
  rememberView();
}

function drawFrame() {
  context = front;
  context.font = FONT;
  context.textBaseline = "middle";
  context.save();
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.drawImage(still, 0, 0);
  context.restore();
  const top = AXIS + faultsHeight();
  clipped(GUTTER, top, view.width - GUTTER, view.height - top, drawHighlights);
  clipped(0, top, GUTTER, view.height - top, drawNames);
  drawCrosshair();
}

function clipped(x, y, width, height, paint) {
  context.save();
  context.beginPath();
  context.rect(x, y, width, height);
  context.clip();
  paint();
  context.restore();
}

function text(words, x, y, color, room) {
  let shown = words;
  if (room !== undefined && context.measureText(shown).width > room) {
    const fits = Math.floor((shown.length * room) / context.measureText(shown).width) - 1;
    if (fits < 3) return;
    shown = shown.slice(0, fits) + "\u2026";
  }
  context.fillStyle = color;
  context.fillText(shown, x, y);
}

// --- Time ---

function ticks() {
  const wanted = ((view.to - view.from) / (view.width - GUTTER)) * 110;
  const power = Math.pow(10, Math.floor(Math.log10(wanted)));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= wanted);
  const found = [];
  for (let t = Math.ceil(view.from / step) * step; t <= view.to; t += step) found.push(t);
  return { found, digits: Math.min(Math.max(0, 9 - Math.floor(Math.log10(step) + 1e-9)), 9) };
}
function drawGrid(top) {
  context.strokeStyle = colors["--line"];
  context.lineWidth = 1;
  context.beginPath();
  for (const t of ticks().found) {
    const x = Math.round(xOf(t)) + 0.5;
    context.moveTo(x, top);
    context.lineTo(x, view.height);
  }
  context.globalAlpha = 0.6;
  context.stroke();
  context.globalAlpha = 1;
}
function drawAxis() {
  context.fillStyle = colors["--panel"];
  context.fillRect(0, 0, view.width, AXIS);
  const { found, digits } = ticks();
  context.textAlign = "center";
  for (const t of found) if (xOf(t) > GUTTER + 20) text(formatTime(t, digits), xOf(t), AXIS / 2, colors["--faint"]);
  context.textAlign = "left";
  text(`${formatDuration(view.to - view.from)} shown`, 8, AXIS / 2, colors["--faint"]);
  context.strokeStyle = colors["--line"];
  context.strokeRect(-1, -1, view.width + 2, AXIS + 0.5);
}

// --- Lanes ---

function drawLaneGrounds() {
  const shift = laneShift();
  let group = null;
  for (const { node, top, height } of lanes) {
    context.fillStyle = colors[node.index % 2 === 0 ? "--ground" : "--lane"];
    context.fillRect(0, top + shift, view.width, height);
    if (node.group !== group) {
      context.fillStyle = colors["--line"];
      context.fillRect(0, top + shift, view.width, group === null ? 1 : 2);
      group = node.group;
    }
  }
}

// The lanes of the nodes that a fault strikes are shaded while it lasts.
function drawStruck() {
  if (!view.shown.faults) return;
  const shift = laneShift();
  context.fillStyle = colors["--shade"];
  for (const fault of faults) {
    if (fault.end < view.from || fault.t > view.to || fault.nodes.length >= lanes.length - 1) continue;
    for (const index of fault.nodes) {
      const lane = nodeByIndex[index] && nodeByIndex[index].lane;
      if (lane) context.fillRect(xOf(fault.t), lane.top + shift, Math.max(2, xOf(fault.end) - xOf(fault.t)), lane.height);
    }
  }
}

function drawLane(lane) {
  const node = lane.node;
  const y = yOf(node);
  const band = bandOf(node);
  context.globalAlpha = node.hidden ? 0.45 : 1;
  if (node.group === "meta") drawRoles(node, y, band);
  else drawLife(node, y, node.group === "chunk" ? 5 : 2);
  drawDown(node, y, band);
  if (node.group === "client" && view.shown.operations) drawOperations(node, y, band);
  if (view.shown.syncs) drawSyncs(node, y + band / 2 + 2);
  if (node.group === "meta") drawProgress(node, y, band, lane);
  if (view.shown.logs) drawLogs(node, y - lane.height / 2 + 5);
  context.globalAlpha = 1;
}

function eachInWindow(list, visit) {
  for (const e of list) {
    if (e.t > view.to) return;
    if (e.end >= view.from) visit(e, Math.max(xOf(e.t), GUTTER - 20), Math.min(xOf(e.end), view.width + 20));
  }
}

function drawRoles(node, y, band) {
  eachInWindow(node.roles, (role, x0, x1) => {
    const width = Math.max(x1 - x0, 1.5);
    const waits = role.role === ROLE.CANDIDATE || role.role === ROLE.PRE;
    context.fillStyle = termColor(role.term, role.role);
    context.fillRect(x0, y - band / 2, width, band);
    if (waits) stripes(x0, y - band / 2, width, band, role.role === ROLE.CANDIDATE ? colors["--election"] : colors["--ground"]);
    const words = `${role.role === ROLE.LEADER ? "\u2605 " : ""}${ROLES[role.role]}, term ${role.term}`;
    const left = Math.max(x0, GUTTER);
    const ink = role.role === ROLE.LEADER ? (isDark() ? "#0d1217" : "#ffffff") : colors["--ink"];
    context.save();
    if (role.role === ROLE.LEADER) context.font = "600 " + FONT;
    if (width > 46) text(words, left + 6, y + 0.5, ink, x1 - left - 10);
    context.restore();
  });
}

function stripes(x, y, width, height, color) {
  context.save();
  context.beginPath();
  context.rect(x, y, width, height);
  context.clip();
  context.strokeStyle = color;
  context.globalAlpha *= 0.55;
  context.lineWidth = 2;
  context.beginPath();
  for (let at = Math.max(x, GUTTER) - height - ((Math.max(x, GUTTER) - x) % 7); at < Math.min(x + width, view.width); at += 7) {
    context.moveTo(at, y + height);
    context.lineTo(at + height, y);
  }
  context.stroke();
  context.restore();
}

function drawLife(node, y, thickness) {
  context.fillStyle = colors["--line"];
  context.fillRect(GUTTER, y - thickness / 2, view.width - GUTTER, thickness);
}

function drawDown(node, y, band) {
  eachInWindow(node.down, (down, x0, x1) => {
    const width = Math.max(x1 - x0, 2);
    context.fillStyle = colors["--ground"];
    context.fillRect(x0, y - band / 2, width, band);
    if (down.t === 0) return;  // not started yet
    context.fillStyle = colors["--down"];
    context.globalAlpha = 0.5;
    context.fillRect(x0, y - band / 2, width, band);
    context.globalAlpha = 1;
    stripes(x0, y - band / 2, width, band, colors["--faint"]);
    context.fillStyle = colors["--bad"];
    context.fillRect(xOf(down.t), y - band / 2 - 2, 2.5, band + 4);
    const words = down.change === LIFE.POWER ? "down: power lost" : "down: killed";
    const room = context.measureText(words).width + 8;
    if (band < 12 || width < room + 6) return;
    const left = Math.max(x0, GUTTER);
    context.fillStyle = colors["--ground"];
    context.fillRect(left + 4, y - band / 2 + 2, room, band - 4);
    text(words, left + 8, y + 0.5, colors["--bad"]);
  });
}

const outcomeColor = (outcome) => colors[["--faint", "--good", "--warn"][outcome]];

function drawOperations(node, y, band) {
  eachInWindow(node.operations, (operation, x0, x1) => {
    const width = Math.max(x1 - x0, 1.5);
    context.fillStyle = outcomeColor(operation.outcome);
    context.globalAlpha = view.search && !operation.text.includes(view.search) ? 0.2 : 0.9;
    context.fillRect(x0, y - band / 2, width, band);
    context.globalAlpha = 1;
    if (width > 8) {
      context.fillStyle = colors["--ground"];
      context.fillRect(x0 + width - 1, y - band / 2, 1, band);
    }
    const left = Math.max(x0, GUTTER);
    if (width > 40) text(operation.text, left + 5, y + 0.5, isDark() ? "#0d1217" : "#ffffff", x1 - left - 9);
  });
}

// Draws one thing a pixel at most: `times` may hold very many.
function eachPixel(times, visit) {
  let last = -10;
  for (let i = lowerBound(times, view.from); i < times.length && times[i] <= view.to; ++i) {
    const x = xOf(times[i]);
    if (x - last < 1) continue;
    visit(x, i, x - last);
    last = x;
  }
}

function drawSyncs(node, y) {
  context.fillStyle = colors["--sync"];
  const begin = lowerBound(node.syncsTimes, view.from - node.syncsLongest);
  let last = -10;
  for (let i = begin; i < node.syncs.length && node.syncs[i].t <= view.to; ++i) {
    const x0 = xOf(node.syncs[i].t);
    const x1 = xOf(node.syncs[i].end);
    if (x1 < last + 1) continue;
    context.fillRect(Math.max(x0, last), y, Math.max(x1 - Math.max(x0, last), 1), 2.5);
    last = x1;
  }
}

// Commit points above the band of a member, apply points below it.
function drawProgress(node, y, band, lane) {
  const room = (lane.height - band) / 2 - 4;
  const reach = Math.min(9, room);
  const mark = (times, states, on, color, from, to, field) => {
    if (!view.shown[on]) return;
    context.fillStyle = colors[color];
    eachPixel(times, (x, i, gap) => {
      context.fillRect(x - 0.5, Math.min(from, to), 1, Math.abs(to - from));
      if (gap < 7) return;
      context.beginPath();
      context.moveTo(x, to);
      context.lineTo(x - 3.5, from);
      context.lineTo(x + 3.5, from);
      context.fill();
    });
    let free = -1e9;
    if (times.length === 0 || room < 20) return;
    for (let i = lowerBound(times, view.from); i < times.length && times[i] <= view.to; ++i) {
      const next = i + 1 < times.length ? xOf(times[i + 1]) : view.width;
      const x = xOf(times[i]);
      if (x < free || next - x < 34) continue;
      text(String(stateAtIndex(node, times[i])[field]), x + 5, (from + to) / 2, colors[color]);
      free = x + 34;
    }
  };
  mark(node.commits, node.states, "commits", "--commit", y - band / 2 - 1 - reach, y - band / 2 - 1, "commit");
  mark(node.applies, node.states, "applies", "--apply", y + band / 2 + 6 + reach, y + band / 2 + 6, "applied");
}
function stateAtIndex(node, t) {
  return node.states[lowerBound(node.stateTimes, t + 1) - 1];
}

function drawLogs(node, y) {
  for (const mark of node.marks) {
    if (mark.t < view.from || mark.t > view.to) continue;
    context.fillStyle = colors[mark.level >= 2 ? "--warn" : "--faint"];
    context.beginPath();
    context.arc(xOf(mark.t), y, 2.2, 0, 7);
    context.fill();
  }
}

function drawNames() {
  const t = view.mouse ? timeAt(view.mouse.x) : view.to;
  for (const lane of lanes) {
    const node = lane.node;
    const y = yOf(node);
    const state = node.group === "meta" ? stateAt(node, t) : null;
    const two = lane.height >= 30 && node.group === "meta";
    context.save();
    context.font = "600 " + FONT;
    text(node.name, 10, two ? y - 8 : y, node.hidden ? colors["--faint"] : colors["--ink"]);
    context.restore();
    if (node.hidden) text("hidden", 78, two ? y - 8 : y, colors["--faint"]);
    if (!two) continue;
    if (!state) {
      text("down", 10, y + 8, colors["--bad"]);
      continue;
    }
    context.fillStyle = termColor(state.term, ROLE.LEADER);
    context.fillRect(3, y - 14, 3, 28);
    text(`${["follower", "pre-vote", "candidate", "leader"][state.role]} t${state.term}`, 10, y + 6, colors["--faint"], GUTTER - 14);
    if (lane.height >= 56) text(`commit ${state.commit} of ${state.last}`, 10, y + 20, colors["--faint"], GUTTER - 14);
  }
  context.fillStyle = colors["--line"];
  context.fillRect(GUTTER - 1, 0, 1, view.height);
}

// --- Faults ---

function drawFaults() {
  if (faultsHeight() === 0) return;
  context.fillStyle = colors["--panel"];
  context.fillRect(0, AXIS, view.width, faultsHeight());
  text("faults", 10, AXIS + 4 + FAULT_ROW / 2, colors["--faint"]);
  context.beginPath();
  context.rect(GUTTER, AXIS, view.width - GUTTER, faultsHeight());
  context.clip();
  eachInWindow([...faults].sort((a, b) => a.t - b.t), (fault, x0, x1) => {
    const width = Math.max(x1 - x0, 3);
    const y = AXIS + 4 + fault.row * FAULT_ROW;
    context.fillStyle = colors["--bad"];
    context.globalAlpha = view.hover === fault || view.selected === fault ? 1 : 0.8;
    context.fillRect(x0, y, width, FAULT_ROW - 3);
    context.globalAlpha = 1;
    const words = fault.text;
    const left = Math.max(x0, GUTTER);
    if (width > 50) text(words, left + 5, y + FAULT_ROW / 2 - 1, isDark() ? "#0d1217" : "#ffffff", x1 - left - 9);
  });
}
