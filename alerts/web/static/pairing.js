// Follows a pairing on a gateway's page. The page is whole without this: there is a link to load
// it again. Nothing is asked for while no pairing goes on, or while nobody looks.

const live = document.getElementById("live");
const EVERY_MS = 2_000;
let timer = 0;

function goesOn() {
  return live.querySelector("[data-open]") !== null;
}

async function look() {
  timer = 0;
  if (document.visibilityState === "visible") {
    try {
      const answer = await fetch(live.dataset.live, { redirect: "error" });
      if (answer.ok) show(await answer.text());
    } catch { /* away for a moment, or logged out: the next click says so */ }
  }
  follow();
}

function forms(part) {
  return [...part.querySelectorAll("form")].map((form) => form.getAttribute("action")).join();
}

function show(html) {
  const template = document.createElement("template");
  template.innerHTML = html; // our own server's, escaped there
  const fresh = template.content.firstElementChild;
  const old = live.firstElementChild;
  const told = old.querySelector("[role=status]");
  const news = fresh.querySelector("[role=status]");
  if (told && news && told.textContent !== news.textContent) {
    told.replaceChildren(...[...news.childNodes].map((node) => node.cloneNode(true)));
  }
  if (forms(old) === forms(fresh)) return; // a region that stays is read aloud as it changes
  const typed = old.querySelector("input[name=passkey]")?.value;
  if (typed && "open" in fresh.dataset) return; // must not vanish under somebody's fingers
  const wasHere = old.contains(document.activeElement);
  live.replaceChildren(fresh);
  const number = fresh.querySelector("input[name=passkey]");
  if (number) number.focus();
  else if (wasHere) fresh.focus();
}

function follow() {
  if (goesOn() && !timer) timer = setTimeout(look, EVERY_MS);
}

live.classList.add("followed"); // the link to load it again is for who has no script
document.addEventListener("visibilitychange", follow);
follow();
