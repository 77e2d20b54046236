// Follows a pairing on a gateway's page. The page is whole without this: there is a link to load
// it again. Nothing is asked for while no pairing goes on, or while nobody looks.

const live = document.getElementById("live");
const EVERY_MS = 2_000;
let timer = 0;

function goesOn() {
  return live.querySelector("[data-open]") !== null;
}

// Somebody is typing the number: what she has written must not vanish under her fingers.
function isTyping() {
  const field = live.querySelector("input[name=passkey]");
  return field !== null && (field.value !== "" || field === document.activeElement);
}

async function look() {
  timer = 0;
  if (document.visibilityState === "visible" && !isTyping()) {
    try {
      const answer = await fetch(live.dataset.live, { redirect: "error" });
      if (answer.ok) show(await answer.text());
    } catch { /* away for a moment, or logged out: the link says so */ }
  }
  follow();
}

function show(html) {
  if (isTyping()) return; // she began while we asked
  const template = document.createElement("template");
  template.innerHTML = html; // our own server's, escaped there
  const fresh = template.content.firstElementChild;
  const old = live.firstElementChild;
  const told = old.querySelector("[role=status]");
  const news = fresh.querySelector("[role=status]");
  const sameForms = old.querySelectorAll("form").length === fresh.querySelectorAll("form").length;
  if (told && news && sameForms) { // a region that stays is read aloud when it changes
    if (told.textContent !== news.textContent) told.replaceChildren(...news.childNodes);
    return;
  }
  live.replaceChildren(fresh);
  live.querySelector("input[name=passkey]")?.focus();
}

function follow() {
  if (goesOn() && !timer) timer = setTimeout(look, EVERY_MS);
}

for (const link of live.querySelectorAll(".by-hand")) link.hidden = goesOn();
document.addEventListener("visibilitychange", follow);
follow();
