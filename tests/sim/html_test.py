"""Draws runs and checks the pages: their data always, and their looks and manners in a headless Chromium. Where there is
none, those tests are skipped, and `./dev test` says so at its end. DOGFS_CHROMIUM names one that is not on the path.

The page is loaded with a script behind its own that uses it as a person would, and leaves what it saw in the document.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

PROGRAM = Path()
NAMES = ("chromium", "chromium-headless-shell", "chromium-browser", "google-chrome")
CHROMIUM = os.environ.get("DOGFS_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)

# To draw the page once, at any zoom. The whole busy one takes a quarter of a second on two busy cores: twenty times that
# is no slow machine, but a page that nobody can use.
MOST_DRAW_MS = 5_000

needs_chromium = unittest.skipUnless(CHROMIUM, "there is no Chromium here")

# Long and busy: more than 100,000 events.
BUSY = """
shows: "a busy cluster </script><b>with markup in its name</b>"
clients: 4
work { for_ms: 60000 think_max_ms: 20 }
fault_classes { mean_interval_ms: 4000 for_min_ms: 10 for_max_ms: 2000 fault { crash { nodes: "random 1 all" power: true } } }
fault_classes { mean_interval_ms: 4000 for_min_ms: 10 for_max_ms: 2000 fault { partition { a: "leader" b: "rest" } } }
"""

HARNESS = """
<script>
const seen = {};
function act(name, test) { try { seen[name] = test(); } catch (e) { seen[name] = "threw " + e; } }
function key(k) { window.dispatchEvent(new KeyboardEvent("keydown", { key: k })); }
function mouse(type, x, y) {
  const box = canvas.getBoundingClientRect();
  const event = new MouseEvent(type, { clientX: box.left + x, clientY: box.top + y, bubbles: true });
  canvas.dispatchEvent(event);
}
function ink() {
  draw();
  const { data } = front.getImageData(0, 0, canvas.width, canvas.height);
  const colours = new Set();
  for (let i = 0; i < data.length; i += 4) colours.add((data[i] << 16) | (data[i + 1] << 8) | data[i + 2]);
  return colours.size;
}
const visible = () => { let n = 0; eachVisibleMessage(() => ++n); return n; };
act("ready", () => document.documentElement.dataset.ready === "true");
act("colours", ink);
act("story", () => document.querySelectorAll("#story .entry").length);
act("zooms", () => { const before = view.to - view.from; key("+"); return view.to - view.from < before; });
act("pans", () => { key("f"); key("+"); key("+"); const before = view.from; key("ArrowRight"); return view.from > before; });
act("fits", () => { key("f"); return view.from === 0 && view.to === END; });
act("wheels", () => {
  canvas.dispatchEvent(new WheelEvent("wheel", { deltaY: -300, clientX: 700, clientY: 300, bubbles: true, cancelable: true }));
  const zoomed = view.to - view.from < END;
  key("f");
  return zoomed;
});
act("steps", () => { key("n"); return document.querySelectorAll("#story .entry.on").length === 1 && view.to - view.from <= END; });
act("hovers", () => {
  const i = message.fate.findIndex((fate, m) => fate === FATE.DELIVERED && TEXT[message.label[m]] === "AppendReply" && message.t[m] > END / 2);
  look(message.t[i] - 1e6, message.end[i] + 1e6);
  draw();
  const arrow = arrowOf(i);
  mouse("mousemove", arrow.x0 + 0.7 * (arrow.x1 - arrow.x0), arrow.y0 + 0.7 * (arrow.y1 - arrow.y0));
  return document.getElementById("tip").hidden ? "no tip" : document.getElementById("tip").textContent;
});
act("details", () => {
  const i = message.label.findIndex((label) => TEXT[label] === "Mutate");
  select({ type: "message", i, t: message.t[i], end: message.end[i] });
  return document.getElementById("details").textContent;
});
act("deselects", () => { key("Escape"); return document.getElementById("details").textContent.includes("Point at anything"); });
act("filters", () => {
  key("f");
  const before = visible();
  document.querySelector('#filter button[data-only="raft"]').click();
  const raft = visible();
  document.querySelector('#filter button[data-only="all"]').click();
  return 0 < raft && raft < before && visible() === before;
});
act("hides", () => {
  const before = visible();
  draw();
  clicked(20, lanes[0].middle + laneShift());
  const fewer = visible();
  clicked(20, lanes[0].middle + laneShift());
  return fewer < before && visible() === before;
});
act("folds", () => {
  const before = lanes.length;
  document.querySelector('#filter input[data-set="group"][data-key="chunk"]').click();
  draw();
  const fewer = lanes.length;
  document.querySelector('#filter input[data-set="group"][data-key="chunk"]').click();
  draw();
  return fewer < before && lanes.length === before;
});
act("searches", () => {
  const before = visible();
  search("SealShard");
  const found = visible();
  search("");
  return 0 < found && found < before;
});
act("themes", () => { key("t"); const dark = ink(); key("t"); return dark > 20; });
act("draws", () => [END, END / 10, END / 100, END / 1000].map((length) => {
  look(END / 2 - length / 2, END / 2 + length / 2);
  const begin = performance.now();
  draw();
  front.getImageData(0, 0, 1, 1);  // What a canvas is told to draw may wait until somebody looks.
  return Math.round(performance.now() - begin);
}));
seen.error = document.documentElement.dataset.error || "";
seen.messages = message.count;
document.documentElement.dataset.seen = JSON.stringify(seen);
</script>
</body>
"""


def draw(directory: Path, scenario: str, seed: int) -> str:
    page = directory / "page.html"
    run = subprocess.run([PROGRAM, "run", scenario, "--seed", str(seed), "--html", page], capture_output=True, text=True)
    if run.returncode != 0:
        raise AssertionError(f"{scenario}: {run.stdout}{run.stderr}")
    return page.read_text()


def use(directory: Path, text: str) -> dict:
    page = directory / "used.html"
    page.write_text(text.replace("</body>", HARNESS))
    browser = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1500,900", "--dump-dom",
         f"--user-data-dir={directory}/profile", f"file://{page}"],
        capture_output=True, text=True, timeout=120, check=False)
    found = re.search(r'data-seen="([^"]*)"', browser.stdout)
    if found is None:
        error = re.search(r'data-error="([^"]*)"', browser.stdout)
        raise AssertionError(f"the page did not come up: {error and error.group(1)} {browser.stderr[-2000:]}")
    return json.loads(found.group(1).replace("&quot;", '"').replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))


class Page(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        scenario = cls.directory / "busy.textproto"
        scenario.write_text(BUSY)
        cls.quiet = draw(cls.directory, "leader_isolated", 3)
        cls.busy = draw(cls.directory, str(scenario), 5)

    def data(self, text: str) -> dict:
        found = re.search(r'<script id="run" type="application/json">(.*?)</script>', text, re.DOTALL)
        return json.loads(found.group(1))

    def check_data(self, run: dict):
        nodes, texts = len(run["nodes"]), len(run["texts"])
        for name in ("messages", "members", "lives", "operations", "syncs", "logs"):
            columns = run[name]
            self.assertEqual(len({len(column) for column in columns.values()}), 1, f"{name}: columns of one length")
            self.assertTrue(all(node < nodes for key in ("node", "from", "to") for node in columns.get(key, [])))
            self.assertTrue(all(t < texts for key in ("text", "label", "detail", "error") for t in columns.get(key, [])))
            if name != "syncs":
                self.assertEqual(columns["t"], sorted(columns["t"]), f"{name} in the order of time")
        self.assertTrue(all(0 <= t <= run["end"] for t in run["messages"]["t"]))

    def check_use(self, seen: dict):
        self.assertEqual(seen["error"], "")
        for name in ("ready", "zooms", "pans", "fits", "wheels", "steps", "deselects", "filters", "hides", "folds",
                     "searches", "themes"):
            self.assertIs(seen[name], True, f"{name}: {seen[name]}")
        self.assertGreater(seen["colours"], 30)
        self.assertGreater(seen["story"], 3)
        self.assertIn("stored up to", seen["hovers"])
        self.assertIn("the reply", seen["details"])
        self.assertIsInstance(seen["draws"], list, seen["draws"])
        self.assertEqual(len(seen["draws"]), 4)
        print(f"{seen['messages']} messages; drawn in {seen['draws']} ms at four zooms")
        self.assertLess(max(seen["draws"]), MOST_DRAW_MS)

    def test_of_a_quiet_run_tells_it(self):
        run = self.data(self.quiet)
        self.check_data(run)
        self.assertEqual([fault["dt"] for fault in run["faults"]], [4_000_000_000, 5_000_000_000])
        self.assertFalse(run["truncated"])
        self.assertNotRegex(self.quiet, r"""(src|href)=["']?(https?:)?//""", "it needs no network")

    def test_of_a_busy_run_has_every_event(self):
        run = self.data(self.busy)
        self.check_data(run)
        self.assertFalse(run["truncated"])
        self.assertGreater(sum(len(run[name]["t"]) for name in ("messages", "members", "syncs", "operations")), 100_000)
        self.assertEqual(self.busy.count("</script>"), 2, "no text of the run ends the data")

    @needs_chromium
    def test_of_a_quiet_run_can_be_used(self):
        self.check_use(use(self.directory, self.quiet))

    @needs_chromium
    def test_of_a_busy_run_can_be_used(self):
        self.check_use(use(self.directory, self.busy))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("program", type=Path, nargs="?")
    parser.add_argument("--browser", action="store_true", help="print the Chromium that would be taken; 1 if there is none")
    arguments, rest = parser.parse_known_args()
    if arguments.browser:
        print(CHROMIUM or "none")
        sys.exit(0 if CHROMIUM else 1)
    if arguments.program is None:
        parser.error("which dogfs-sim?")
    PROGRAM = arguments.program
    unittest.main(argv=[__file__, *rest])
