// What is under the mouse, in words; and the mouse and keys themselves.

const NEAR = 6;  // px
const MOST_TO_HIT = 40000;  // more messages than that in a window cannot be told apart

function distanceTo({ x0, y0, x1, y1 }, x, y) {
  const length = (x1 - x0) ** 2 + (y1 - y0) ** 2;
  const part = length === 0 ? 0 : Math.min(Math.max(((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / length, 0), 1);
  return Math.hypot(x - x0 - part * (x1 - x0), y - y0 - part * (y1 - y0));
}

function messageNear(x, y) {
  if (view.visible > MOST_TO_HIT) return null;
  let best = null;
  let nearest = NEAR;
  eachVisibleMessage((i) => {
    const distance = distanceTo(arrowOf(i), x, y);
    if (distance < nearest) {
      nearest = distance;
      best = { type: "message", i, t: message.t[i], end: message.end[i] };
    }
  });
  return best;
}

const within = (list, x) => list.find((e) => xOf(e.t) - 2 <= x && x <= Math.max(xOf(e.end), xOf(e.t) + 2) + 1);

function subjectAt(x, y) {
  const top = AXIS + faultsHeight();
  if (x < GUTTER || y < AXIS) return null;
  if (y < top) return within(faults.filter((f) => f.row === Math.floor((y - AXIS - 4) / FAULT_ROW)), x) || null;
  const lane = lanes.find((l) => y >= l.top + laneShift() && y < l.top + l.height + laneShift());
  if (!lane) return null;
  const node = lane.node;
  const away = y - yOf(node);
  const band = bandOf(node) / 2;
  if (view.shown.logs && away < -lane.height / 2 + 10) {
    const mark = node.marks.find((m) => Math.abs(xOf(m.t) - x) < 4);
    if (mark) return mark;
  }
  if (Math.abs(away) <= band) {
    const down = within(node.down, x);
    if (down) return { type: "down", node: node.index, ...down };
    const operation = within(node.operations, x);
    if (operation) return operation;
    const role = within(node.roles, x);
    if (role) return { type: "member", node: node.index, t: timeAt(x), end: timeAt(x) };
  }
  if (view.shown.syncs && away > band && away < band + 6) {
    const sync = within(node.syncs, x);
    if (sync) return sync;
  }
  if (node.group === "meta" && Math.abs(away) < band + 14) {
    const times = away < 0 ? node.commits : node.applies;
    const near = [lowerBound(times, timeAt(x)), lowerBound(times, timeAt(x)) - 1].map((i) => times[i])
      .find((t) => t !== undefined && Math.abs(xOf(t) - x) < 4);
    if (near !== undefined) return { type: "point", node: node.index, commit: away < 0, t: near, end: near };
  }
  return messageNear(x, y);
}

const escape = (words) => String(words).replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
const nameOf = (index) => (nodeByIndex[index] ? nodeByIndex[index].name : "?");

// [title, rows of [name, value]] of what is hovered or selected.
function describe(subject) {
  const at = (t) => formatTime(t, 6);
  switch (subject.type) {
    case "message": {
      const i = subject.i;
      const fate = FATES[message.fate[i]];
      const took = message.fate[i] === FATE.LOST ? "" : ` after ${formatDuration(message.end[i] - message.t[i])}`;
      return [`${TEXT[message.label[i]]}: ${nameOf(message.from[i])} \u2192 ${nameOf(message.to[i])}`, [
        ["says", TEXT[message.detail[i]] || "nothing more"], ["sent", at(message.t[i])],
        ["fate", fate[1] + took + (M.twin[i] ? "; the network's own second copy" : "")], ["size", `${M.bytes[i]} bytes`]]];
    }
    case "member": {
      const state = stateAt(nodeByIndex[subject.node], subject.t);
      if (!state) return [nameOf(subject.node), [["is", "not running"]]];
      return [`${nameOf(subject.node)} is ${ROLES[state.role]} in term ${state.term}`, [
        ["voted for", state.voted ? `meta-${state.voted}` : "nobody in this term"],
        ["log ends at", `${state.last} (durable: ${state.durable})`],
        ["committed", `${state.commit}`], ["applied", `${state.applied}`], ["at", at(subject.t)]]];
    }
    case "point": {
      const state = stateAtIndex(nodeByIndex[subject.node], subject.t);
      return [`${nameOf(subject.node)} ${subject.commit ? "learns that" : "has applied"} entries up to ` +
        `${subject.commit ? `${state.commit} are committed` : state.applied}`, [["at", at(subject.t)], ["term", state.term]]];
    }
    case "operation":
      return [`${nameOf(subject.node)}: ${subject.text}`, [
        ["outcome", OUTCOMES[subject.outcome] + (subject.error ? `: ${subject.error}` : "")],
        ["began", at(subject.t)], ["took", formatDuration(subject.end - subject.t)]]];
    case "fault":
      return [`fault: ${subject.text}`, [["strikes", subject.who || "all"], ["begins", at(subject.t)],
        ["lasts", formatDuration(subject.end - subject.t)]]];
    case "down":
      return [`${nameOf(subject.node)} is down`, [
        ["because", subject.t === 0 ? "it was not started yet" : subject.change === LIFE.POWER ?
          "its power went: what was not synced to disk may be gone" : "its process was killed: its disk keeps all"],
        ["from", at(subject.t)], ["for", formatDuration(subject.end - subject.t)]]];
    case "sync":
      return [`${nameOf(subject.node)} syncs its disk`, [["begins", at(subject.t)],
        ["takes", formatDuration(subject.end - subject.t)], ["so that", "what was written before it survives a power cut"]]];
    default:
      return [`${nameOf(subject.node)} says`, [["text", subject.text || ""], ["at", at(subject.t)]]];
  }
}

function asHtml(subject) {
  const [title, rows] = describe(subject);
  return `<h2>${escape(title)}</h2><dl>${rows.map(([name, value]) => `<dt>${escape(name)}</dt><dd>${escape(value)}</dd>`).join("")}</dl>`;
}

const tip = document.getElementById("tip");
function showTip() {
  tip.hidden = !view.hover || !view.mouse;
  if (tip.hidden) return;
  const [title, rows] = describe(view.hover);
  tip.innerHTML = `<b>${escape(title)}</b><br>${rows.slice(0, 3).map(([n, v]) => `<small>${escape(n)}</small> ${escape(v)}`).join("<br>")}`;
  const room = document.getElementById("picture").getBoundingClientRect();
  const { width, height } = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(4, Math.min(view.mouse.x + 16, room.width - width - 6))}px`;
  tip.style.top = `${view.mouse.y + 20 + height > room.height ? view.mouse.y - height - 12 : view.mouse.y + 20}px`;
}

// --- Mouse ---

let drag = null;  // {x, y, from, scroll, moved, mark}
const place = (event) => {
  const box = canvas.getBoundingClientRect();
  return { x: event.clientX - box.left, y: event.clientY - box.top };
};
canvas.addEventListener("mousemove", (event) => {
  view.mouse = place(event);
  if (!drag) {
    view.hover = subjectAt(view.mouse.x, view.mouse.y);
    canvas.style.cursor = view.hover || view.mouse.x < GUTTER ? "pointer" : "crosshair";
  }
  showTip();
  redrawMouse();
});
canvas.addEventListener("mouseleave", () => {
  view.mouse = view.hover = null;
  showTip();
  redrawMouse();
});
canvas.addEventListener("mousedown", (event) => {
  const at = place(event);
  drag = { ...at, from: view.from, to: view.to, scroll: view.scroll, moved: false, mark: event.shiftKey };
});
window.addEventListener("mousemove", (event) => {
  if (!drag) return;
  const at = place(event);
  if (Math.hypot(at.x - drag.x, at.y - drag.y) > 3) drag.moved = true;
  if (!drag.moved) return;
  if (drag.mark) {
    const [a, b] = [timeAt(drag.x), timeAt(at.x)];
    view.marking = { from: Math.min(a, b), to: Math.max(a, b) };
    return redraw();
  }
  const step = ((drag.x - at.x) * (drag.to - drag.from)) / (view.width - GUTTER);
  view.scroll = drag.scroll + drag.y - at.y;
  look(drag.from + step, drag.to + step);
});
window.addEventListener("mouseup", () => {
  if (!drag) return;
  if (view.marking) look(view.marking.from, view.marking.to);
  else if (!drag.moved) clicked(drag.x, drag.y);
  view.marking = drag = null;
  redraw();
});
function clicked(x, y) {
  if (x < GUTTER) {
    const lane = lanes.find((l) => y >= l.top + laneShift() && y < l.top + l.height + laneShift());
    if (lane) lane.node.hidden = !lane.node.hidden;
    return;
  }
  select(subjectAt(x, y));
}
canvas.addEventListener("dblclick", (event) => {
  if (place(event).x > GUTTER) zoom(0.25, timeAt(place(event).x));
});
canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  if (event.shiftKey) {
    view.scroll += event.deltaY || event.deltaX;
    return redraw();
  }
  if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) return pan(event.deltaX / view.width);
  zoom(Math.exp(Math.max(-0.6, Math.min(0.6, event.deltaY * 0.0018))), timeAt(Math.max(place(event).x, GUTTER)));
}, { passive: false });

function moveMap(event) {
  const box = map.getBoundingClientRect();
  const t = ((event.clientX - box.left - GUTTER) * END) / (box.width - GUTTER);
  const half = (view.to - view.from) / 2;
  look(t - half, t + half);
}
map.addEventListener("pointerdown", (event) => {
  map.setPointerCapture(event.pointerId);
  moveMap(event);
});
map.addEventListener("pointermove", (event) => {
  if (event.buttons) moveMap(event);
});
map.addEventListener("wheel", (event) => {
  event.preventDefault();
  zoom(Math.exp(event.deltaY * 0.0018), (view.from + view.to) / 2);
}, { passive: false });

// --- Keys ---

const help = document.getElementById("keys");
const KEYS = {
  ArrowLeft: () => pan(-0.2), ArrowRight: () => pan(0.2),
  ArrowUp: () => { view.scroll -= 40; redraw(); }, ArrowDown: () => { view.scroll += 40; redraw(); },
  "+": () => zoom(0.6, centre()), "=": () => zoom(0.6, centre()), "-": () => zoom(1.7, centre()),
  f: () => look(0, END), n: () => step(1), p: () => step(-1), t: () => toggleTheme(), "?": () => help.showModal(),
  "/": () => document.getElementById("search").focus(),
  1: () => openTab("story"), 2: () => openTab("filter"), 3: () => openTab("legend"),
  Escape: () => select(null),
};
const centre = () => (view.mouse && view.mouse.x > GUTTER ? timeAt(view.mouse.x) : (view.from + view.to) / 2);
window.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || help.open) return;
  if (event.target.tagName === "INPUT" && event.target.type === "search") {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const action = KEYS[event.key];
  if (!action) return;
  event.preventDefault();
  action();
});
