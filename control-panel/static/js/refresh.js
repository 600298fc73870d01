// Keeps a part of the page true: asks for the page again and puts the part's new content in place, without stealing
// focus. Waits while the tab is hidden, and says out loud what changed in [data-announce].

export async function renew(parts, url = location.href) {
  let text;
  try {
    const answer = await fetch(url, { headers: { Accept: "text/html" }, redirect: "error" });
    if (!answer.ok) return;
    text = await answer.text();
  } catch {
    return;
  }
  const page = new DOMParser().parseFromString(text, "text/html");
  for (const part of parts) {
    const fresh = page.getElementById(part.id);
    if (fresh) put(part, fresh);
  }
}

function put(part, fresh) {
  const typing = part.contains(document.activeElement?.closest("input, textarea, select"));
  if (typing || fresh.innerHTML === part.dataset.seen) return;
  const before = said(part);
  part.dataset.seen = fresh.innerHTML;
  place(part, fresh);
  const after = said(part);
  if (after !== before && after) window.announce(after);
}

function said(part) {
  return [...part.querySelectorAll("[data-announce]")].map((element) => element.textContent.trim()).join(", ");
}

// Replaces children that differ, so that what stays the same keeps its selection and focus.
function place(part, fresh) {
  const focused = document.activeElement && part.contains(document.activeElement) ? document.activeElement.id : "";
  const old = [...part.children];
  const made = [...fresh.children];
  made.forEach((child, index) => {
    if (!old[index]) part.append(child);
    else if (!old[index].isEqualNode(child)) old[index].replaceWith(child);
  });
  old.slice(made.length).forEach((child) => child.remove());
  if (focused) document.getElementById(focused)?.focus();
}

export default function refresh(part) {
  const url = part.dataset.url || location.href;
  const every = Number(part.dataset.every || 10) * 1000;
  const again = async () => {
    if (!document.hidden) await renew([part], url);
    setTimeout(again, every);
  };
  setTimeout(again, every);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) renew([part], url); });
}
