// What every page has: the theme before the first paint, copy buttons, ages that stay true, notices that can be closed.
// Larger behaviours are modules; an element names its own in data-module and only then is it loaded.
"use strict";
(() => {
  const root = document.documentElement;
  const THEMES = ["system", "light", "dark"];
  root.classList.add("js");

  function theme() {
    try { return THEMES.includes(localStorage.theme) ? localStorage.theme : "system"; } catch { return "system"; }
  }
  function paint() {
    if (theme() === "system") delete root.dataset.theme; else root.dataset.theme = theme();
    for (const span of document.querySelectorAll("[data-theme-switch] span")) span.textContent = `Theme: ${theme()}`;
  }
  paint();

  function ago(seconds) {
    const units = [[31536000, "y"], [2592000, "mo"], [86400, "d"], [3600, "h"], [60, "min"]];
    for (const [size, unit] of units) if (seconds >= size) return `${Math.floor(seconds / size)} ${unit} ago`;
    return seconds < 10 ? "just now" : `${Math.floor(seconds)} s ago`;
  }
  function tick() {
    for (const element of document.querySelectorAll("time[data-age]")) {
      const text = ago((Date.now() - Date.parse(element.dateTime)) / 1000);
      if (element.textContent !== text) element.textContent = text;
    }
  }

  async function copy(button) {
    const source = button.dataset.copy ? document.querySelector(button.dataset.copy) : button.previousElementSibling;
    const icon = button.querySelector("use");
    const before = icon && icon.getAttribute("href");
    try { await navigator.clipboard.writeText(source.dataset.text || source.textContent.trim()); } catch { return; }
    window.announce("Copied");
    if (!icon) return;
    icon.setAttribute("href", before.replace(/#.*/, "#ok"));
    setTimeout(() => icon.setAttribute("href", before), 1500);
  }

  window.announce = (text) => {
    const place = document.getElementById("announcer");
    if (place) place.textContent = text;
  };

  function dismiss(notice) {
    notice.classList.add("leaving");
    setTimeout(() => notice.remove(), 150);
  }

  document.addEventListener("click", (event) => {
    const on = (selector) => event.target.closest(selector);
    const copying = on("[data-copy], [data-copy-previous]");
    if (copying) copy(copying);
    if (on("[data-dismiss]")) dismiss(on(".notice"));
    if (on("[data-theme-switch]")) {
      try { localStorage.theme = THEMES[(THEMES.indexOf(theme()) + 1) % 3]; } catch { /* private window */ }
      paint();
    }
    for (const menu of document.querySelectorAll("details[data-menu][open]"))
      if (!menu.contains(event.target)) menu.open = false;
  });
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, textarea, select");
    if (event.key === "Escape") for (const menu of document.querySelectorAll("details[data-menu][open]")) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
    const filter = document.querySelector("[data-filter]");
    if (event.key === "/" && !typing && filter && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      filter.focus();
    }
  });
  document.addEventListener("submit", (event) => {
    // A second click sends nothing twice; the button comes back if the person does, or if no answer came.
    const form = event.target;
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
    setTimeout(() => event.submitter?.setAttribute("aria-disabled", "true"), 0);
    setTimeout(() => again(form), 10000);
  });
  function again(form) {
    delete form.dataset.sent;
    for (const button of form.querySelectorAll("[aria-disabled]")) button.removeAttribute("aria-disabled");
  }
  window.addEventListener("pageshow", () => document.querySelectorAll("form[data-sent]").forEach(again));
  document.addEventListener("DOMContentLoaded", () => {
    paint();
    tick();
    const tab = document.querySelector(".tabs [aria-current]");
    if (tab) tab.parentElement.scrollLeft = tab.offsetLeft - 80;
    setInterval(tick, 10000);
    for (const notice of document.querySelectorAll('[data-notice="success"]')) setTimeout(() => dismiss(notice), 6000);
    // What keeps a part fresh is not needed for the first view.
    for (const element of document.querySelectorAll("[data-module]"))
      setTimeout(() => import(element.dataset.module).then((module) => module.default(element)), element.dataset.every ? 2500 : 0);
  });
})();
