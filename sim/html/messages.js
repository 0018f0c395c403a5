// Messages as arrows: from lane to lane, from when they were sent to when they arrived.

// Where the arrow of a message ends: what never arrived stops on its way.
function arrowOf(i) {
  const from = nodeByIndex[message.from[i]];
  const to = nodeByIndex[message.to[i]];
  const down = yOf(to) > yOf(from) ? 1 : -1;
  const y0 = yOf(from) + (down * bandOf(from)) / 2;
  const y1 = yOf(to) - (down * bandOf(to)) / 2;
  const x0 = xOf(message.t[i]);
  const fate = message.fate[i];
  if (fate === FATE.LOST || fate === FATE.DROPPED) return { x0, y0, x1: x0 + 7, y1: y0 + (y1 - y0) * 0.4, stops: true };
  const x1 = xOf(message.end[i]);
  if (fate === FATE.CUT) return { x0, y0, x1: x0 + (x1 - x0) * 0.55, y1: y0 + (y1 - y0) * 0.55, stops: true };
  return { x0, y0, x1, y1, stops: fate === FATE.REFUSED || fate === FATE.DAMAGED };
}

function messageColor(i) {
  const fate = message.fate[i];
  if ([FATE.CUT, FATE.LOST, FATE.DROPPED, FATE.DAMAGED].includes(fate)) return colors["--bad"];
  if (fate === FATE.REFUSED) return colors["--refused"];
  return colors[CATEGORIES[message.category[i]].color];
}

// Lines that fall on the same pixels are drawn once. The key holds both ends in pixels, both lanes, and the colour.
function collectArrows() {
  const styles = new Map();
  const seen = new Set();
  let count = 0;
  let visible = 0;
  eachVisibleMessage((i) => {
    ++visible;
    const arrow = arrowOf(i);
    const fate = message.fate[i];
    const style = (arrow.stops ? 90 + fate : message.category[i]) + (fate === FATE.LATE ? 200 : 0);
    const width = Math.round(arrow.x1 - arrow.x0);
    if (arrow.x0 >= 0 && width < 4096) {
      const key = ((Math.round(arrow.x0) * 4096 + width) * 128 + message.from[i]) * 128 + message.to[i] + style * 1e12;
      if (seen.has(key)) return;
      seen.add(key);
    }
    ++count;
    if (!styles.has(style)) styles.set(style, { color: messageColor(i), late: fate === FATE.LATE, stops: arrow.stops, list: [] });
    styles.get(style).list.push(i);
  });
  return { styles: [...styles.values()], count, visible };
}

function drawMessages() {
  const { styles, count, visible } = collectArrows();
  const heads = count < DENSE_MESSAGES;
  // What went wrong is drawn last, and never fades away.
  styles.sort((a, b) => a.stops - b.stops);
  for (const style of styles) {
    context.strokeStyle = style.color;
    context.fillStyle = style.color;
    // The more there are of a kind, the less each matters.
    const faded = style.list.length < 150 ? 0.9 : Math.max(0.13, 0.9 * Math.pow(150 / style.list.length, 0.5));
    context.globalAlpha = style.stops ? Math.max(faded, 0.4) : faded;
    context.lineWidth = count < 300 ? 1.3 : 1;
    context.setLineDash(style.late ? [5, 3] : []);
    context.beginPath();
    for (const i of style.list) {
      const arrow = arrowOf(i);
      context.moveTo(arrow.x0, arrow.y0);
      context.lineTo(arrow.x1, arrow.y1);
    }
    context.stroke();
    context.setLineDash([]);
    if (heads) for (const i of style.list) drawHead(arrowOf(i), message.fate[i]);
  }
  context.globalAlpha = 1;
  return visible;
}

function drawHead({ x0, y0, x1, y1, stops }) {
  const angle = Math.atan2(y1 - y0, x1 - x0);
  if (stops) return drawCross(x1, y1, 3.5);
  context.beginPath();
  context.moveTo(x1, y1);
  context.lineTo(x1 - 7 * Math.cos(angle - 0.35), y1 - 7 * Math.sin(angle - 0.35));
  context.lineTo(x1 - 7 * Math.cos(angle + 0.35), y1 - 7 * Math.sin(angle + 0.35));
  context.fill();
}
function drawCross(x, y, reach) {
  context.save();
  context.lineWidth = 1.8;
  context.globalAlpha = 1;
  context.beginPath();
  context.moveTo(x - reach, y - reach);
  context.lineTo(x + reach, y + reach);
  context.moveTo(x + reach, y - reach);
  context.lineTo(x - reach, y + reach);
  context.stroke();
  context.restore();
}

// Writes the kinds of messages beside their arrows, near the sender, where there is room.
function labelArrows() {
  const taken = [];
  eachVisibleMessage((i) => {
    const { x0, y0, x1, y1 } = arrowOf(i);
    const words = TEXT[message.label[i]];
    const width = context.measureText(words).width;
    for (const away of [13, 26, 39]) {
      const part = away / Math.max(Math.abs(y1 - y0), 1);
      const place = { x: x0 + (x1 - x0) * part + 5, y: y0 + (y1 - y0) * part, width };
      const clash = (other) => Math.abs(other.y - place.y) < 12 && other.x < place.x + width + 4 && place.x < other.x + other.width + 4;
      if (part > 0.9 || taken.some(clash)) continue;
      taken.push(place);
      context.fillStyle = colors["--ground"];
      context.globalAlpha = 0.75;
      context.fillRect(place.x - 1, place.y - 6, width + 2, 12);
      context.globalAlpha = 1;
      text(words, place.x, place.y, messageColor(i));
      return;
    }
  });
}

// --- What is hovered or selected ---

const siblings = new Map();  // by request id: the messages of that call
for (let i = 0; i < message.count; ++i) {
  const call = M.call[i];
  if (call === 0) continue;
  if (siblings.has(call)) siblings.get(call).push(i); else siblings.set(call, [i]);
}
function callOf(i) {
  return M.call[i] === 0 ? [i] : siblings.get(M.call[i]);
}

function drawHighlights() {
  for (const subject of [view.selected, view.hover]) {
    if (!subject || subject.type !== "message") continue;
    for (const i of callOf(subject.i)) {
      if (!nodeByIndex[message.from[i]].lane || !nodeByIndex[message.to[i]].lane) continue;
      const arrow = arrowOf(i);
      context.strokeStyle = messageColor(i);
      context.fillStyle = messageColor(i);
      context.lineWidth = i === subject.i ? 3 : 2;
      context.beginPath();
      context.moveTo(arrow.x0, arrow.y0);
      context.lineTo(arrow.x1, arrow.y1);
      context.stroke();
      drawHead(arrow);
    }
  }
}

function drawCrosshair() {
  if (view.marking) {
    context.fillStyle = colors["--accent"];
    context.globalAlpha = 0.18;
    context.fillRect(xOf(view.marking.from), AXIS, xOf(view.marking.to) - xOf(view.marking.from), view.height);
    context.globalAlpha = 1;
  }
  if (!view.mouse || view.mouse.x < GUTTER) return;
  context.strokeStyle = colors["--accent"];
  context.globalAlpha = 0.45;
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(view.mouse.x + 0.5, AXIS);
  context.lineTo(view.mouse.x + 0.5, view.height);
  context.stroke();
  context.globalAlpha = 1;
  const words = formatTime(timeAt(view.mouse.x), Math.min(9, ticks().digits + 2));
  const width = context.measureText(words).width + 12;
  const x = Math.min(Math.max(view.mouse.x - width / 2, GUTTER), view.width - width);
  context.fillStyle = colors["--accent"];
  context.fillRect(x, 4, width, AXIS - 8);
  text(words, x + 6, AXIS / 2, colors["--ground"]);
}

// --- The whole run, small ---

const mapContext = map.getContext("2d");
let mapPicture = null;  // {key, canvas}: what does not depend on the window
function drawMap() {
  const { width, height } = fitCanvas(map, mapContext);
  const key = `${width} ${height} ${isDark()}`;
  if (!mapPicture || mapPicture.key !== key) mapPicture = { key, image: paintMap(width, height) };
  mapContext.clearRect(0, 0, width, height);
  mapContext.drawImage(mapPicture.image, 0, 0, width, height);
  const x = (t) => GUTTER + (t * (width - GUTTER)) / END;
  mapContext.fillStyle = colors["--ground"];
  mapContext.globalAlpha = 0.66;
  mapContext.fillRect(GUTTER, 0, x(view.from) - GUTTER, height);
  mapContext.fillRect(x(view.to), 0, width - x(view.to), height);
  mapContext.globalAlpha = 1;
  mapContext.strokeStyle = colors["--accent"];
  mapContext.lineWidth = 1.5;
  mapContext.strokeRect(x(view.from) + 0.75, 0.75, Math.max(x(view.to) - x(view.from) - 1.5, 2), height - 1.5);
}

// Faults above, who led in the middle, the number of messages below.
function paintMap(width, height) {
  const image = document.createElement("canvas");
  const ratio = window.devicePixelRatio || 1;
  image.width = width * ratio;
  image.height = height * ratio;
  const paint = image.getContext("2d");
  paint.setTransform(ratio, 0, 0, ratio, 0, 0);
  paint.fillStyle = colors["--panel"];
  paint.fillRect(0, 0, width, height);
  const x = (t) => GUTTER + (t * (width - GUTTER)) / END;
  paint.fillStyle = colors["--bad"];
  for (const fault of faults) paint.fillRect(x(fault.t), 4, Math.max(x(fault.end) - x(fault.t), 2), 7);
  for (const node of nodes) {
    for (const role of node.roles) {
      if (role.role !== ROLE.LEADER) continue;
      paint.fillStyle = termColor(role.term, ROLE.LEADER);
      paint.fillRect(x(role.t), 13, Math.max(x(role.end) - x(role.t), 1.5), 7);
    }
  }
  const bins = new Float64Array(Math.max(1, Math.floor((width - GUTTER) / 2)));
  for (let i = 0; i < message.count; ++i) ++bins[Math.min(bins.length - 1, Math.floor((message.t[i] / END) * bins.length))];
  const most = bins.reduce((a, b) => Math.max(a, b), 1);
  paint.fillStyle = colors["--append"];
  paint.globalAlpha = 0.6;
  bins.forEach((n, b) => {
    const bar = Math.sqrt(n / most) * (height - 25);
    paint.fillRect(GUTTER + b * 2, height - bar - 1, 2, bar);
  });
  paint.globalAlpha = 1;
  paint.font = FONT;
  paint.textBaseline = "middle";
  paint.fillStyle = colors["--faint"];
  paint.fillText("faults", 8, 8);
  paint.fillText("leader", 8, 20);
  paint.fillText("messages", 8, 36);
  return image;
}
