// Keeps every [data-live] region as fresh as the server's own rendering of this page, and says how fresh it is.
// Without this file the pages work the same; they only stand still until they are reloaded.
const PERIOD_MS = 2000;
const freshness = document.getElementById("freshness");
let last = Date.now();

async function refresh() {
  if (document.hidden) return;
  try {
    const answer = await fetch(location.href, { headers: { "X-Live": "1" }, redirect: "error" });
    if (!answer.ok) throw new Error(String(answer.status));
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const region of document.querySelectorAll("[data-live]")) {
      const fresh = page.querySelector(`[data-live="${region.dataset.live}"]`);
      const busy = region.contains(document.activeElement) && document.activeElement !== document.body;
      if (fresh && !busy && fresh.innerHTML !== region.innerHTML) region.replaceChildren(...fresh.childNodes);
    }
    last = Date.now();
    if (freshness) freshness.textContent = "live";
  } catch {
    if (freshness) freshness.textContent = `stale since ${new Date(last).toLocaleTimeString()}`;
  }
}

if (document.querySelector("[data-live]")) setInterval(refresh, PERIOD_MS);
