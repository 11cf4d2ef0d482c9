// Keeps the regions of a page ([data-live]) as the server would draw them now, and says how fresh they are.
// Cells are patched in place: what somebody points at, selects or fills in does not move. Without this file the pages
// work the same; they only stand still until they are reloaded.
const PERIOD_MS = 1500;
const TIMES = "time[data-age], time[data-since], time[data-left]";
const freshness = document.getElementById("freshness");
let etag = null;
let seen = Date.now();
let skew = 0;

// Time in words ------------------------------------------------------------------------------------------------------
function span(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 100) return `${s} s`;
  if (s < 6000) return `${Math.round(s / 60)} min`;
  if (s < 172800) return `${Math.round(s / 3600)} h`;
  return `${Math.round(s / 86400)} d`;
}

function tell(time) {
  const away = (Date.parse(time.dateTime) - Date.now() - skew) / 1000;
  const text = "since" in time.dataset ? `for ${span(-away)}` : "left" in time.dataset && away > 0 ? `in ${span(away)}` : `${span(-away)} ago`;
  if (!time.title) time.title = `${time.dateTime.slice(0, 19).replace("T", " ")} UTC`;
  if (time.textContent !== text) time.textContent = text;
}

function tick() {
  for (const time of document.querySelectorAll(TIMES)) tell(time);
}

// Patching -----------------------------------------------------------------------------------------------------------
function isSame(a, b) {
  return a.nodeType === b.nodeType && a.nodeName === b.nodeName && a.dataset?.key === b.dataset?.key;
}

function patch(old, fresh) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
    return;
  }
  if (old === document.activeElement && old.matches("input, textarea, select")) return;
  for (const { name, value } of [...fresh.attributes]) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  for (const { name } of [...old.attributes]) {
    const isOurs = name === "open" || (name === "hidden" && old.matches(".copy")) || (name === "title" && old.matches("time"));
    if (!fresh.hasAttribute(name) && !isOurs) old.removeAttribute(name);
  }
  if (old.matches(TIMES)) return tell(old);
  if (old.matches(".copy")) return;
  "rows" in old.dataset ? patchRows(old, fresh) : patchChildren(old, fresh);
}

function patchChildren(old, fresh) {
  const wanted = [...fresh.childNodes];
  const keyed = new Map([...old.children].filter((one) => one.dataset.key).map((one) => [one.dataset.key, one]));
  let at = old.firstChild;
  for (const next of wanted) {
    const known = next.dataset?.key ? keyed.get(next.dataset.key) : null;
    if (known && known !== at) old.insertBefore(known, at);
    const here = known ?? at;
    if (here && isSame(here, next)) {
      patch(here, next);
      at = here.nextSibling;
    } else {
      old.insertBefore(next, at);
    }
  }
  while (at) {
    const gone = at;
    at = at.nextSibling;
    gone.remove();
  }
}

// A list keeps its order until it is asked for anew: rows change in place, new ones join at the end, gone ones are marked.
function patchRows(old, fresh) {
  const rows = new Map([...old.children].map((row) => [row.dataset.key, row]));
  for (const next of [...fresh.children]) {
    const row = rows.get(next.dataset.key);
    if (row) patch(row, next);
    else old.append(next);
    rows.delete(next.dataset.key);
  }
  for (const row of rows.values()) row.classList.add("gone");
}

// What may not move now: selected text, a form being filled in, a region that somebody points at.
function isHeld(region) {
  const chosen = document.getSelection();
  if (chosen && !chosen.isCollapsed && chosen.containsNode(region, true)) return true;
  const active = document.activeElement;
  if (active && active !== document.body && region.contains(active)) {
    if ("still" in region.dataset || active.matches("input, textarea, select, button")) return true;
  }
  return "still" in region.dataset && region.matches(":hover");
}

function show(page) {
  let held = false;
  for (const region of document.querySelectorAll("[data-live]")) {
    const fresh = page.querySelector(`[data-live="${region.dataset.live}"]`);
    if (fresh && isHeld(region)) held = held || !fresh.isEqualNode(region);
    else if (fresh) patch(region, fresh);
  }
  // The page has another shape now (the first node of an empty list): only a new load shows it.
  const shape = (root) => [...root.querySelectorAll("[data-live]")].map((one) => one.dataset.live).join();
  if (shape(page) !== shape(document) && !document.activeElement?.matches("input, textarea, select")) location.reload();
  offerCopies();
  tick();
  return held;
}

// The loop -----------------------------------------------------------------------------------------------------------
function say(text, look) {
  if (!freshness) return;
  freshness.hidden = false;
  freshness.className = `freshness ${look}`;
  if (freshness.textContent !== text) freshness.textContent = text;
}

async function refresh() {
  const headers = etag ? { "If-None-Match": etag } : {};
  const answer = await fetch(location.href, { headers, redirect: "manual", cache: "no-store" });
  if (answer.type === "opaqueredirect") return say("Logged out: reload the page", "stale");
  if (answer.status !== 304 && !answer.ok) throw new Error(String(answer.status));
  const date = Date.parse(answer.headers.get("Date") ?? "");
  // The header has whole seconds: a difference below two is no difference.
  if (date && Math.abs(date - Date.now()) > 2000) skew = date - Date.now();
  seen = Date.now();
  if (answer.status === 304) return say("Live", "");
  const held = show(new DOMParser().parseFromString(await answer.text(), "text/html"));
  etag = held ? null : answer.headers.get("ETag");
  say(held ? "Held while you work here" : "Live", held ? "held" : "");
}

async function loop() {
  const begun = performance.now();
  if (!document.hidden) {
    try {
      await refresh();
    } catch {
      say(`Not reached since ${new Date(seen).toLocaleTimeString()}`, "stale");
    }
  }
  // A long list on a slow machine is looked at less often: at most a tenth of the time goes into it.
  setTimeout(loop, Math.max(PERIOD_MS, 10 * (performance.now() - begun)));
}

// Copying ------------------------------------------------------------------------------------------------------------
function offerCopies() {
  if (navigator.clipboard) for (const button of document.querySelectorAll(".copy[hidden]")) button.hidden = false;
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest?.(".copy");
  if (!button) return;
  await navigator.clipboard.writeText(button.dataset.copy);
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = "Copy"; }, 2000);
});

offerCopies();
tick();
setInterval(tick, 1000);
if (document.querySelector("[data-live]")) loop();
