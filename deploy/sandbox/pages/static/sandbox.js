// Keeps an open page true: news come as server-sent events, then the page is fetched again and only
// its [data-region] parts are exchanged. Everything works without this file, with a reload.
"use strict";

const toast = (text) => {
  const place = document.getElementById("toast");
  place.textContent = text;
  place.classList.add("shown");
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => place.classList.remove("shown"), 6000);
};

const keysIn = (region) =>
  new Set([...region.querySelectorAll("[data-key]")].map((one) => one.dataset.key));

const exchange = (region, fresh) => {
  if (region.innerHTML === fresh.innerHTML) return;
  const known = keysIn(region);
  const held = document.activeElement;
  const label = region.contains(held) ? held.getAttribute("aria-label") : null;
  const chosen = region.matches("select") ? region.value : null;
  region.innerHTML = fresh.innerHTML;
  if (chosen !== null && [...region.options].some((one) => one.value === chosen)) region.value = chosen;
  for (const one of region.querySelectorAll("[data-key]"))
    if (!known.has(one.dataset.key)) one.classList.add("fresh");
  if (label) [...region.querySelectorAll("[aria-label]")].find((one) => one.getAttribute("aria-label") === label)?.focus();
};

const show = (html) => {
  const page = new DOMParser().parseFromString(html, "text/html");
  for (const region of document.querySelectorAll("[data-region]")) {
    const fresh = page.getElementById(region.id);
    if (fresh) exchange(region, fresh);
  }
};

let fetching = null, again = false;
const refresh = () => {
  if (fetching) { again = true; return fetching; }
  fetching = (async () => {
    do {
      again = false;
      const answer = await fetch(location.href, { headers: { accept: "text/html" } });
      if (answer.ok) show(await answer.text());
    } while (again);
  })().catch(() => {}).finally(() => { fetching = null; });
  return fetching;
};

const listen = () => {
  const source = new EventSource("/_sandbox/live?topics=" + encodeURIComponent(document.body.dataset.topics));
  source.addEventListener("ready", () => { document.body.dataset.live = "on"; refresh(); });
  source.addEventListener("changed", refresh);
  source.addEventListener("error", () => { document.body.dataset.live = "off"; });
};

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (form.method !== "post" || form.hasAttribute("data-reload")) return;
  event.preventDefault();
  const sent = new FormData(form, event.submitter);
  const answer = await fetch(form.action, { method: "post", body: new URLSearchParams(sent) }).catch(() => null);
  if (!answer) return toast("The sandbox does not answer.");
  const html = await answer.text();
  if (!answer.ok) {
    const problem = new DOMParser().parseFromString(html, "text/html").getElementById("problem");
    return toast(problem ? problem.textContent : "That did not work.");
  }
  const there = new URL(answer.url);
  if (there.pathname !== location.pathname) { location.href = answer.url; return; }
  form.querySelectorAll("textarea").forEach((one) => { if (one.name === "body" && form.action.endsWith("/comments")) one.value = ""; });
  form.closest("details")?.removeAttribute("open");
  show(html);
});

document.addEventListener("change", (event) => {
  const form = event.target.form;
  if (event.target.id === "acting") form.submit();
  if (event.target.id === "label" && form?.getAttribute("role") === "search") form.submit();
});

listen();
setInterval(refresh, 30000); // so that «2 minutes ago» grows older
