// Keeps the live part of the page fresh, and presses the buttons without leaving the page.
// Without JavaScript the page works too: the buttons are forms, and it can be reloaded.

const live = document.getElementById("live");
const said = document.getElementById("said");
const plugs = document.querySelector("#pull fieldset");
let lastSaid = "";

function say(text) {
  if (text !== lastSaid) {
    lastSaid = text;
    said.textContent = text;
  }
}

function litNames() {
  return [...live.querySelectorAll(".lamp.lit .name, .lamp.stopped .name")].map(
    (name) => name.textContent,
  );
}

const events = new EventSource("/events");
events.onmessage = (event) => {
  const state = JSON.parse(event.data);
  const before = litNames().length;
  live.innerHTML = state.html; // rendered and escaped by the server
  plugs.disabled = state.unplugged;
  const alarm = live.querySelector("[data-say]");
  const lit = litNames();
  if (alarm) {
    say(alarm.dataset.say);
  } else if (lit.length > before) {
    say(`Tänd: ${lit.at(-1)}`);
  }
};
events.onerror = () => say("Provbänken svarar inte. Är demon igång?");

document.addEventListener("submit", (event) => {
  event.preventDefault();
  const form = event.target;
  const body = new URLSearchParams(new FormData(form, event.submitter));
  fetch(form.action, { method: "POST", body, redirect: "manual" });
});
