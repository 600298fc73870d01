// What an app prints, as it prints it: asks for the lines after the last one it has, while one looks and follows.

import { Viewer } from "./viewer.js";

const EVERY = 1500;

export default function output(part) {
  const viewer = new Viewer(part);
  const note = part.querySelector("[data-stream]");
  const pick = part.querySelector("[data-pick]");
  let position = Number(part.dataset.after || 0);
  let asking = false;

  async function ask() {
    if (asking || document.hidden || !viewer.follows) return;
    asking = true;
    try {
      const answer = await fetch(`${part.dataset.lines}?after=${position}`, { redirect: "error" });
      if (!answer.ok) throw new Error(String(answer.status));
      for (const line of (await answer.json()).lines) {
        position = Math.max(position, line.position);
        viewer.add({ at: line.at, from: line.from, text: line.text });
      }
      note.textContent = "";
    } catch {
      note.textContent = "The host does not answer. Trying again…";
    }
    asking = false;
  }

  part.addEventListener("follow", (event) => {
    note.textContent = event.detail ? "" : "Paused. Scroll to the end to follow.";
    ask();
  });
  pick?.addEventListener("change", () => pick.form.requestSubmit());
  setInterval(ask, EVERY);
  document.addEventListener("visibilitychange", ask);
}
