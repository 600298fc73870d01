// A release as it happens: its log over one event stream that resumes where it stopped, and its steps, asked for again
// whenever something about them changed. The stream rests while the tab is hidden.

import { Viewer } from "./viewer.js";
import { renew } from "./refresh.js";

export default function live(part) {
  const viewer = part.querySelector(".log") ? new Viewer(part) : null;
  const parts = ["live-state", "live-cause", "live-facts", "live-after", "head", "open-site"].map((id) => document.getElementById(id)).filter(Boolean);
  const note = part.querySelector("[data-stream]");
  let position = Number(part.dataset.after || 0);
  let source = null;
  let over = part.dataset.open !== "yes";
  let renewing = false;
  let again = false;

  function say(text) { if (note) note.textContent = text; }

  // One renewal at a time; what changes meanwhile is seen by one more.
  async function steps() {
    if (renewing) { again = true; return; }
    renewing = true;
    await renew(parts);
    renewing = false;
    if (again) { again = false; await steps(); }
  }

  // After going live there is a little tidying: look until nothing runs any more.
  async function settle(tries) {
    await steps();
    if (tries && document.querySelector("#live-state .is-running")) setTimeout(() => settle(tries - 1), 1000);
  }

  function close() {
    source?.close();
    source = null;
  }

  function finish() {
    over = true;
    close();
    say("");
    if (part.dataset.then) location.assign(part.dataset.then);
    else settle(40);
  }

  function line(event) {
    const data = JSON.parse(event.data);
    position = Number(event.lastEventId) || position;
    viewer?.add({ at: data.at, from: data.step, text: data.text });
  }

  function open(from) {
    if (source) return;
    const url = new URL(part.dataset.events, location.href);
    url.searchParams.set("after", String(from));
    source = new EventSource(url);
    source.onopen = () => say("");
    source.addEventListener("line", line);
    source.addEventListener("step", () => steps());
    source.addEventListener("state", () => steps());
    source.addEventListener("end", finish);
    source.onerror = () => {
      if (over) return;
      say("Connection lost. Trying again…");
      if (source?.readyState === EventSource.CLOSED) { close(); setTimeout(() => open(position), 3000); }
    };
  }

  if (!over) open(position);
  document.addEventListener("visibilitychange", () => {
    if (over) return;
    if (document.hidden) close();
    else { open(position); steps(); }
  });
  // A running step counts its own seconds.
  setInterval(() => {
    for (const element of document.querySelectorAll("[data-since]")) {
      const seconds = (Date.now() - Date.parse(element.dataset.since)) / 1000;
      if (seconds >= 0) element.textContent = seconds < 9.95 ? `${seconds.toFixed(1)} s` : `${Math.round(seconds)} s`;
    }
  }, 200);
  part.querySelector("[data-whole]")?.addEventListener("click", (event) => {
    event.currentTarget.remove();
    viewer.clear();
    viewer.following(false);
    close();
    over = false;
    position = 0;
    open(0);
  });
}
