// A log one can read: lines are only ever appended, following stops when one scrolls up, search counts its hits.
// Everything that was printed is put in as text; colours become classes.

const CAP = 5000;
const CODE = /\x1b\[([0-9;]*)m|\x1b\[[0-9;?]*[A-Za-ln-z]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|[\x00-\x08\x0b-\x1f\x7f]/g;
const KNOWN = /^(?:[1-4]|3[0-7]|9[0-7])$/;

export function coloured(text, into) {
  let classes = [];
  let from = 0;
  const put = (piece) => {
    if (!piece) return;
    if (!classes.length) return into.append(piece);
    const span = document.createElement("span");
    span.className = classes.map((code) => `a${code}`).join(" ");
    span.textContent = piece;
    into.append(span);
  };
  for (const found of text.matchAll(CODE)) {
    put(text.slice(from, found.index));
    from = found.index + found[0].length;
    if (found[1] === undefined) continue;
    for (const code of found[1].split(";")) {
      if (code === "38" || code === "48") break;
      if (code === "" || code === "0") classes = [];
      else if (code === "39") classes = classes.filter((one) => one.length === 1);
      else if (KNOWN.test(code)) classes = [...classes.filter((one) => one.length !== code.length), code];
    }
  }
  put(text.slice(from));
}

export class Viewer {
  constructor(part) {
    this.part = part;
    this.list = part.querySelector(".log");
    this.count = part.querySelector("[data-count]");
    this.search = part.querySelector("[data-search]");
    this.follow = part.querySelector("[data-follow]");
    this.at = -1;
    this.waiting = [];
    this.buttons();
    this.scrolling();
    if (this.search) this.searching();
    this.bottom();
  }

  buttons() {
    const keep = (name, fallback) => { try { return (localStorage[name] ?? fallback) === "true"; } catch { return fallback === "true"; } };
    for (const [name, fallback] of [["wrap", "true"], ["times", "false"]]) {
      const button = this.part.querySelector(`[data-${name}]`);
      if (!button) continue;
      const show = (on) => { this.list.classList.toggle(name, on); button.setAttribute("aria-pressed", String(on)); };
      show(keep(`log-${name}`, fallback));
      button.addEventListener("click", () => {
        const on = !this.list.classList.contains(name);
        show(on);
        try { localStorage[`log-${name}`] = String(on); } catch { /* private window */ }
        this.bottom();
      });
    }
    this.follow?.addEventListener("click", () => this.following(this.follow.getAttribute("aria-pressed") !== "true"));
  }

  get follows() { return !this.follow || this.follow.getAttribute("aria-pressed") === "true"; }

  following(on) {
    this.follow?.setAttribute("aria-pressed", String(on));
    if (on) this.bottom();
    this.part.dispatchEvent(new CustomEvent("follow", { detail: on }));
  }

  scrolling() {
    let last = this.list.scrollTop;
    this.list.addEventListener("scroll", () => {
      const up = this.list.scrollTop < last - 2;
      last = this.list.scrollTop;
      const end = this.list.scrollHeight - this.list.clientHeight - last < 8;
      if (up && !end && this.follows) this.following(false);
      else if (end && !this.follows && this.list.scrollHeight > this.list.clientHeight + 8) this.following(true);
    }, { passive: true });
  }

  bottom() { if (this.follows) this.list.scrollTop = this.list.scrollHeight; }

  // line: {at: seconds, from: string, text: string}
  add(line) {
    this.waiting.push(line);
    if (this.waiting.length === 1) requestAnimationFrame(() => this.flush());
    if (document.hidden && this.waiting.length > 500) this.flush();
  }

  flush() {
    const made = document.createDocumentFragment();
    for (const line of this.waiting.splice(0)) made.append(this.row(line));
    this.list.querySelector(".nothing")?.remove();
    this.list.append(made);
    while (this.list.childElementCount > CAP) this.list.firstElementChild.remove();
    if (this.search?.value) this.look(false);
    this.bottom();
  }

  row(line) {
    const row = document.createElement("li");
    const time = document.createElement("time");
    const at = new Date(line.at * 1000);
    time.dateTime = at.toISOString();
    time.textContent = at.toTimeString().slice(0, 8);
    const from = document.createElement("span");
    from.className = "from";
    from.textContent = line.from;
    const text = document.createElement("span");
    coloured(line.text, text);
    row.append(time, from, text);
    return row;
  }

  clear() { this.list.replaceChildren(); }

  searching() {
    this.search.addEventListener("input", () => { this.at = -1; this.look(true); });
    this.search.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      this.go(event.shiftKey ? -1 : 1);
    });
    const only = this.part.querySelector("[data-only]");
    only?.addEventListener("click", () => {
      const on = this.list.classList.toggle("only-hits") && this.search.value !== "";
      this.list.classList.toggle("only-hits", on);
      only.setAttribute("aria-pressed", String(on));
    });
  }

  look(jump) {
    const wanted = this.search.value.toLowerCase();
    this.hits = [];
    for (const row of this.list.children) {
      const hit = wanted !== "" && row.textContent.toLowerCase().includes(wanted);
      row.classList.toggle("mark", hit);
      if (hit) this.hits.push(row);
    }
    if (!wanted) this.list.classList.remove("only-hits");
    this.count.textContent = wanted ? `${this.hits.length} found` : "";
    if (jump && this.hits.length) this.go(1);
  }

  go(step) {
    if (!this.hits?.length) return;
    this.hits[this.at]?.classList.remove("here");
    this.at = (this.at + step + this.hits.length) % this.hits.length;
    this.following(false);
    this.hits[this.at].classList.add("here");
    this.hits[this.at].scrollIntoView({ block: "center" });
    this.count.textContent = `${this.at + 1} of ${this.hits.length}`;
  }
}
