// The recorded run, prepared for drawing: typed arrays, one list of segments a lane, and the story.
// Times are nanoseconds of virtual time.

const RUN = JSON.parse(document.getElementById("run").textContent);
const TEXT = RUN.texts;
const ROLES = ["follower", "asks for a pre-vote", "candidate", "leader"];
const ROLE = { FOLLOWER: 0, PRE: 1, CANDIDATE: 2, LEADER: 3 };
const FATE = { UNDER_WAY: 0, DELIVERED: 1, LATE: 2, LOST: 3, CUT: 4, REFUSED: 5, DROPPED: 6, DAMAGED: 7 };
const FATES = [
  ["under way", "had not arrived when the run ended"],
  ["delivered", "arrived"],
  ["late", "arrived late: others may have overtaken it"],
  ["lost", "lost by the network, by chance"],
  ["cut", "sent into a partition: it never arrived"],
  ["refused", "nobody was there to take it: the node was down, or not serving"],
  ["dropped", "the link's queue was full"],
  ["damaged", "it arrived with a bit flipped: a checksum tells, and nobody takes what it says"],
];
const OUTCOMES = ["unfinished", "succeeded", "failed"];
const LIFE = { BOOT: 0, KILLED: 1, POWER: 2 };
const END = Math.max(RUN.end, 1);

// What kinds of messages there are, by what they are about.
const CATEGORIES = [
  { name: "elections", color: "--election", labels: ["PreVote", "PreVoteReply", "Vote", "VoteReply", "TimeoutNow"] },
  { name: "log replication", color: "--append", labels: ["Append", "AppendReply", "Snapshot", "SnapshotReply"] },
  { name: "leader heartbeats", color: "--heartbeat", labels: ["RaftHeartbeat", "RaftHeartbeatReply"] },
  { name: "clients to metadata", color: "--client",
    labels: ["OpenSession", "Mutate", "Stat", "List", "GetBlocks", "RenewLeases", "Summary", "ClusterStatus"] },
  { name: "file data", color: "--data", labels: ["OpenShard", "AppendShard", "SealShard", "ReadShard", "AbortShard"] },
  { name: "chunk server heartbeats", color: "--server", labels: ["Heartbeat", "RegisterServer"] },
  { name: "others", color: "--faint", labels: [] },
];

function categoryOf(label) {
  const base = label.replace(/Reply$/, "");
  const found = CATEGORIES.findIndex((c) => c.labels.includes(label) || c.labels.includes(base));
  return found < 0 ? CATEGORIES.length - 1 : found;
}

const M = RUN.messages;
// Names with what follows each other drawn together: "chunk-1…9 client-1".
function brief(names) {
  const runs = [];
  for (const name of names.split(" ")) {
    const [, stem, number] = name.match(/^(.*-)(\d+)$/) || [];
    const last = runs[runs.length - 1];
    if (last && stem && last.stem === stem && Number(number) === last.to + 1) last.to = Number(number);
    else runs.push({ name, stem, from: Number(number), to: Number(number) });
  }
  return runs.map((r) => (r.stem && r.to > r.from ? `${r.stem}${r.from}\u2026${r.to}` : r.name)).join(" ");
}

const message = {
  count: M.t.length,
  t: Float64Array.from(M.t),
  end: Float64Array.from(M.t, (t, i) => (M.dt[i] < 0 ? END : t + M.dt[i])),
  from: Uint16Array.from(M.from),
  to: Uint16Array.from(M.to),
  fate: Uint8Array.from(M.fate),
  label: Uint32Array.from(M.label),
  detail: Uint32Array.from(M.detail),
  category: Uint8Array.from(M.label, (id) => categoryOf(TEXT[id])),
  longest: 0,
};
for (let i = 0; i < message.count; ++i) {
  message.longest = Math.max(message.longest, message.end[i] - message.t[i]);
}

// The first index whose value is not below `value`.
function lowerBound(values, value) {
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] < value) low = middle + 1; else high = middle;
  }
  return low;
}

// --- The lanes: metadata nodes above, chunk servers, then clients ---

function groupOf(name) {
  if (name.startsWith("meta")) return "meta";
  if (name.startsWith("chunk")) return "chunk";
  return name.startsWith("client") ? "client" : "other";
}
const GROUPS = ["client", "meta", "chunk", "other"];
const GROUP_TITLES = { client: "clients", meta: "metadata nodes", chunk: "chunk servers", other: "others" };
const nodes = RUN.nodes.map((name, index) => ({ index, name, group: groupOf(name), down: [], marks: [] }))
  .filter((node) => node.name !== "");
const nodeByIndex = [];
for (const node of nodes) {
  nodeByIndex[node.index] = node;
  node.folded = node.group === "other";
  Object.assign(node, { roles: [], states: [], stateTimes: [], operations: [], syncs: [], hidden: false });
}

// When each node was down.
(function lives() {
  const since = new Map();
  const L = RUN.lives;
  for (let i = 0; i < L.t.length; ++i) {
    const node = nodeByIndex[L.node[i]];
    if (!node) continue;
    if (L.change[i] === LIFE.BOOT) {
      const begin = since.get(node);
      since.delete(node);
      if (begin && L.t[i] > begin.t) node.down.push({ ...begin, end: L.t[i] });
    } else {
      since.set(node, { t: L.t[i], change: L.change[i] });
    }
  }
  for (const [node, begin] of since) if (begin.t < END) node.down.push({ ...begin, end: END });
  for (const node of nodes) node.down = node.down.filter((d) => d.end > 0);
})();

// The states of the members, and the stretches in which role and term stayed the same.
(function members() {
  const R = RUN.members;
  for (let i = 0; i < R.t.length; ++i) {
    const node = nodeByIndex[R.node[i]];
    const state = { t: R.t[i], role: R.role[i], term: R.term[i], voted: R.voted[i], commit: R.commit[i],
      applied: R.applied[i], last: R.last[i], durable: R.durable[i] };
    const before = node.states[node.states.length - 1];
    state.commits = before && state.commit > before.commit;
    state.applies = before && state.applied > before.applied;
    node.states.push(state);
    const open = node.roles[node.roles.length - 1];
    if (!open || open.role !== state.role || open.term !== state.term) {
      if (open) open.end = state.t;
      node.roles.push({ t: state.t, end: END, role: state.role, term: state.term });
    }
  }
  for (const node of nodes) {
    node.stateTimes = Float64Array.from(node.states, (s) => s.t);
    // A member that goes down has no role until its next life tells one.
    for (const role of node.roles) {
      const down = node.down.find((d) => d.t >= role.t && d.t < role.end);
      if (down) role.end = down.t;
    }
    node.commits = Float64Array.from(node.states.filter((s) => s.commits), (s) => s.t);
    node.applies = Float64Array.from(node.states.filter((s) => s.applies), (s) => s.t);
  }
})();

(function operations() {
  const O = RUN.operations;
  for (let i = 0; i < O.t.length; ++i) {
    if (O.text[i] === 0 || !nodeByIndex[O.node[i]]) continue;
    const end = O.dt[i] < 0 ? END : O.t[i] + O.dt[i];
    nodeByIndex[O.node[i]].operations.push({ type: "operation", t: O.t[i], end, node: O.node[i], outcome: O.outcome[i],
      text: TEXT[O.text[i]], error: TEXT[O.error[i]] });
  }
  const S = RUN.syncs;
  for (let i = 0; i < S.t.length; ++i) {
    nodeByIndex[S.node[i]].syncs.push({ type: "sync", t: S.t[i], end: S.t[i] + Math.max(S.dt[i], 0), node: S.node[i] });
  }
  const L = RUN.logs;
  for (let i = 0; i < L.t.length; ++i) {
    const mark = { type: "log", t: L.t[i], end: L.t[i], node: L.node[i], level: L.level[i], text: TEXT[L.text[i]] };
    if (nodeByIndex[L.node[i]]) nodeByIndex[L.node[i]].marks.push(mark);
  }
  for (const node of nodes) {
    node.syncs.sort((a, b) => a.t - b.t);
    for (const list of ["operations", "syncs"]) {
      node[list + "Longest"] = node[list].reduce((longest, e) => Math.max(longest, e.end - e.t), 0);
      node[list + "Times"] = Float64Array.from(node[list], (e) => e.t);
    }
  }
})();

// Faults, packed into rows so that none covers another.
const faults = RUN.faults.map((f) => ({ type: "fault", t: f.t, end: f.dt < 0 ? END : f.t + f.dt,
  text: brief(TEXT[f.text].replace(/^at \d+ ms for \d+ ms: /, "")), who: brief(TEXT[f.who]), nodes: f.nodes, row: 0 }));
const FAULT_ROWS = (function pack() {
  const ends = [];
  for (const fault of faults) {
    let row = ends.findIndex((end) => end <= fault.t);
    if (row < 0) row = ends.length;
    ends[row] = Math.max(fault.end, fault.t + END / 60);
    fault.row = row;
  }
  return ends.length;
})();

// What a member was at a moment; null before its first state, while it was down, and until its new life told one.
function stateAt(node, t) {
  const at = lowerBound(node.stateTimes, t + 1) - 1;
  const state = at < 0 ? null : node.states[at];
  return state && node.down.some((d) => d.t <= t && state.t < d.end && state.t <= d.t) ? null : state;
}

// --- What happened: the few events that tell the run ---

const STORY_KINDS = { fault: "faults", election: "elections", crash: "crashes and starts", failure: "failed operations",
  log: "warnings of the nodes" };
const story = (function tell() {
  const entries = [];
  const add = (t, kind, color, text, subject) => entries.push({ t, kind, color, text, subject });
  for (const fault of faults) {
    const who = fault.who && !fault.text.includes(fault.who) ? ` (${fault.who})` : "";
    add(fault.t, "fault", "--bad", `${fault.text}${who}`, fault);
    if (fault.end < END && fault.end > fault.t) add(fault.end, "fault", "--good", `over: ${fault.text}`, fault);
  }
  const L = RUN.lives;
  for (let i = 0; i < L.t.length; ++i) {
    if (L.t[i] === 0 || L.t[i] >= END || !nodeByIndex[L.node[i]] || nodeByIndex[L.node[i]].name === "auditor") continue;
    const what = ["starts", "is killed", "loses power"][L.change[i]];
    add(L.t[i], "crash", L.change[i] ? "--bad" : "--good", `${nodeByIndex[L.node[i]].name} ${what}`, null);
  }
  tellElections(add);
  for (const node of nodes) {
    for (const operation of node.operations) {
      if (operation.outcome === 1) continue;
      const why = operation.outcome === 2 ? `failed: ${operation.error}` : "was never finished";
      add(operation.end, "failure", "--warn", `${node.name}: ${operation.text} ${why}`, operation);
    }
    for (const mark of node.marks) {
      if (mark.level >= 2) add(mark.t, "log", "--warn", `${node.name}: ${mark.text}`, mark);
    }
  }
  for (let i = 0; i < RUN.logs.t.length; ++i) {
    if (!nodeByIndex[RUN.logs.node[i]]) add(RUN.logs.t[i], "verdict", "--bad", `FAILED: ${TEXT[RUN.logs.text[i]]}`, null);
  }
  return entries.sort((a, b) => a.t - b.t);
})();

function tellElections(add) {
  const terms = new Map();
  for (const node of nodes) {
    node.roles.forEach((role, i) => {
      const before = node.roles[i - 1];
      const term = terms.get(role.term) || { candidates: [], leader: null, t: role.t };
      terms.set(role.term, term);
      if (role.role === ROLE.CANDIDATE) {
        term.candidates.push(node.name);
        term.t = Math.max(term.t, role.end);
        add(role.t, "election", "--election", `${node.name} stands for election in term ${role.term}`, role);
      } else if (role.role === ROLE.LEADER) {
        term.leader = node.name;
        add(role.t, "election", "--election", `${node.name} leads term ${role.term}`, role);
      } else if (before && before.role === ROLE.LEADER && before.end === role.t) {
        add(role.t, "election", "--warn", `${node.name} leads no more`, role);
      }
    });
  }
  for (const [number, term] of terms) {
    if (term.leader || term.candidates.length === 0) continue;
    const split = term.candidates.length > 1 ? `a split vote between ${term.candidates.join(" and ")}` :
      `${term.candidates[0]} got no majority`;
    add(term.t, "election", "--warn", `nobody wins term ${number}: ${split}`, null);
  }
}
