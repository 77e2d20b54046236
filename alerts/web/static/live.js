// Keeps an open worklist up to date. The page is whole without this.
// Each event carries the whole order of rows and the HTML of those that changed.

const rows = document.getElementById("rows");
const announce = document.getElementById("announce");
const above = document.getElementById("above");
const line = document.getElementById("line");

// A line that was lost for a moment is nobody's concern.
const SILENCE_MS = 5_000;
let lostTimer = 0;
// The server says something every 15 s. A line that is silent this long is dead, though no
// error says so: a router forgot it, the computer slept.
const QUIET_MS = 40_000;
let quietTimer = 0;
let source = null;

function rowFrom(html) {
  const template = document.createElement("template");
  template.innerHTML = html; // our own server's, escaped there
  return template.content.firstElementChild;
}

// The row that is being read: the focused one, else the first that can be seen.
function readRow() {
  const focused = document.activeElement?.closest?.(".row");
  if (focused) return focused;
  if (window.scrollY < 8) return null; // at the top nobody is in the middle of something
  return [...rows.children].find((row) => row.getBoundingClientRect().bottom > 0) ?? null;
}

function keepInPlace(change) {
  const anchor = readRow();
  const before = anchor?.getBoundingClientRect().top;
  change();
  if (anchor?.isConnected) window.scrollBy(0, anchor.getBoundingClientRect().top - before);
}

// A level that rose, or an alert that somebody had taken and that is open again, is news too.
function isRaised(old, row) {
  const has = (one, name) => one.classList.contains(name);
  return (has(row, "red") && !has(old, "red")) || (has(old, "taken") && !has(row, "taken"));
}

// That a colleague has it is said, too: who was on her way to it need not go on.
function isTaken(old, row) {
  const taker = row.querySelector(".taker")?.textContent ?? "";
  return !old.classList.contains("taken") && taker !== "" && !taker.startsWith("du ");
}

function showTaken(taken) {
  const words = taken.map((row) => `${row.querySelector(".taker").textContent.trim()}: ${row.querySelector(".why")?.textContent.trim() ?? ""}`);
  if (words.length) announce.textContent = words.join(". ");
}

function showNew(fresh, raised) {
  const news = [...fresh, ...raised];
  if (!news.length) return;
  const words = news.map((row) => {
    const level = row.querySelector(".level")?.textContent.trim() ?? "";
    return `${fresh.includes(row) ? "Nytt" : "Höjt"} larm, ${level.replace(/^\S+\s/, "").toLowerCase()}: ${row.querySelector(".why")?.textContent.trim() ?? ""}`;
  });
  announce.textContent = words.join(". ");
  const hidden = news.filter((row) => row.getBoundingClientRect().bottom < 0);
  if (hidden.length) {
    const one = fresh.includes(hidden[0]) ? "nytt" : "höjt";
    const many = raised.length ? "nya eller höjda" : "nya";
    above.textContent = hidden.length === 1 ? `↑ Ett ${one} larm` : `↑ ${hidden.length} ${many} larm`;
    above.hidden = false;
  }
}

function apply(told) {
  const fresh = [];
  const raised = [];
  const taken = [];
  const known = new Map([...rows.children].map((row) => [row.id, row]));
  keepInPlace(() => {
    for (const [id, html] of Object.entries(told.rows)) {
      const row = rowFrom(html);
      const old = known.get(row.id);
      if (old?.dataset.version === row.dataset.version) {
        for (const part of [".row-when", ".row-what > .muted"]) { // only the clock has moved on
          old.querySelector(part).replaceWith(row.querySelector(part));
        }
        continue;
      }
      if (old) {
        if (isRaised(old, row)) raised.push(row);
        if (isTaken(old, row)) taken.push(row);
        const focused = old.contains(document.activeElement);
        row.classList.add("changed");
        row.querySelector(".new-mark").hidden = old.querySelector(".new-mark").hidden;
        old.replaceWith(row);
        if (focused) row.querySelector("a").focus({ preventScroll: true });
      } else {
        row.classList.add("new");
        row.querySelector(".new-mark").hidden = false;
        fresh.push(row);
      }
      known.set(row.id, row);
    }
    const wanted = told.order.map((id) => known.get(`case-${id}`)).filter(Boolean);
    for (const row of [...rows.children]) if (!wanted.includes(row)) row.remove();
    wanted.forEach((row, index) => {
      if (rows.children[index] !== row) rows.insertBefore(row, rows.children[index] ?? null);
    });
    document.getElementById("counts").innerHTML = told.counts;
    document.getElementById("empty").hidden = wanted.length > 0;
  });
  showTaken(taken);
  showNew(fresh, raised);
}

function heard() {
  clearTimeout(lostTimer);
  lostTimer = 0;
  line.hidden = true;
  expectWord();
}

function expectWord() {
  clearTimeout(quietTimer);
  quietTimer = setTimeout(quiet, QUIET_MS);
}

function quiet() {
  line.hidden = false;
  source?.close();
  open();
}

function lost() {
  lostTimer ||= setTimeout(() => { line.hidden = false; }, SILENCE_MS);
}

function ended() {
  source?.close();
  location.assign("/login?expired=1&next=/");
}

function open() {
  if (source && source.readyState !== EventSource.CLOSED) return;
  source = new EventSource(rows.dataset.live);
  expectWord();
  source.addEventListener("worklist", (event) => { heard(); apply(JSON.parse(event.data)); });
  source.addEventListener("heartbeat", heard);
  source.addEventListener("ended", ended);
  source.addEventListener("error", () => {
    lost();
    // The browser comes back by itself, unless the answer was no stream at all.
    if (source.readyState === EventSource.CLOSED) setTimeout(again, 2_000);
  });
}

async function again() {
  try {
    const asking = new AbortController();
    const answer = await fetch(rows.dataset.live, { signal: asking.signal });
    asking.abort();
    if (answer.status === 401) return ended();
  } catch { /* still away */ }
  open();
}

// A hidden tab gives its connection back: browsers allow six to one place.
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "hidden") {
    clearTimeout(quietTimer);
    source?.close();
  } else open();
});
above.addEventListener("click", () => { above.hidden = true; });
window.addEventListener("pagehide", () => source?.close());
open();
