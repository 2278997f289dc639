// Keeps a page live, and finds another site when this one is silent. Everything works without it, by reloading.
"use strict";
(() => {
  const body = document.body, notice = document.getElementById("notice");
  const sites = JSON.parse(body.dataset.sites || "[]").filter((s) => !s.self && s.url !== location.origin);
  const live = document.querySelector("[data-live]");
  const silence = 2500, look = 700;
  let last = Date.now(), lost = false;

  const say = (text) => {
    notice.textContent = text;
    notice.hidden = !text;
  };

  // alive asks whether a site answers at all: what it says does not matter, and another origin may not read it.
  const alive = async (base) => {
    const stop = new AbortController(), timer = setTimeout(() => stop.abort(), look);
    try {
      await fetch(base + "/livez", { mode: "no-cors", cache: "no-store", credentials: "omit", signal: stop.signal });
      return true;
    } catch {
      return false;
    } finally {
      clearTimeout(timer);
    }
  };

  const elsewhere = async () => {
    say(body.dataset.lost);
    if (await alive(location.origin)) { lost = false; last = Date.now(); say(""); if (live) again(); return; }
    const answers = await Promise.all(sites.map(async (s) => [s, await alive(s.url)]));
    const found = answers.find(([, ok]) => ok);
    if (!found) { say(body.dataset.lostAll); setTimeout(elsewhere, 1000); return; }
    if (stays()) { turn(found[0]); setTimeout(elsewhere, 1000); return; }
    if (written()) { turn(found[0]); return; }
    const to = new URL(location.pathname + location.search, found[0].url);
    to.searchParams.set("from", body.dataset.site || location.host);
    location.replace(to);
  };

  // stays reports whether a page does by itself what it is for, with what only this address has: it goes on, and waits for its site.
  const stays = () => !!document.querySelector("[data-stays]:not([hidden])");

  // written reports whether somebody has begun to fill in a form, or one holds the number of what may have been done: neither is taken away.
  const written = () => !!document.querySelector("main form[data-keep]") || [...document.querySelectorAll("main input:not([type=hidden]), main textarea")].some((i) =>
    i.value !== i.defaultValue || i.checked !== i.defaultChecked);

  // turn leads what is sent and followed from here on to another site. Cookies do not know ports, and a form has a number: it is done once.
  const turn = (site) => {
    for (const f of document.forms) f.action = new URL(f.getAttribute("action") || location.pathname, site.url);
    for (const a of document.querySelectorAll("a[href^='/']")) a.href = new URL(a.getAttribute("href"), site.url);
    body.dataset.turned = site.name;
    say(body.dataset.lostSend.replace("%s", body.dataset.site || location.host).replace("%s", site.name));
  };
  const lose = () => { if (!lost) { lost = true; if (stream) stream.close(); elsewhere(); } };

  // Details that somebody has opened, and what has the focus, stay as they are when a part of the page is new.
  const renew = (part, markup) => {
    const open = [...part.querySelectorAll("details")].map((d) => d.open);
    const at = part.contains(document.activeElement) ? [...part.querySelectorAll("a,summary,[tabindex]")].indexOf(document.activeElement) : -1;
    const scroll = [...part.querySelectorAll(".scroll")].map((s) => s.scrollLeft);
    part.innerHTML = markup;
    [...part.querySelectorAll("details")].forEach((d, i) => { d.open = !!open[i]; });
    [...part.querySelectorAll(".scroll")].forEach((s, i) => { s.scrollLeft = scroll[i] || 0; });
    if (at >= 0) part.querySelectorAll("a,summary,[tabindex]")[at]?.focus({ preventScroll: true });
  };

  // What has not changed is not touched, and nothing is while a finger is on the page: a tap on what has just been replaced would be lost.
  let stream = null, shown = null, touched = false;
  for (const [what, is] of [["pointerdown", true], ["pointerup", false], ["pointercancel", false]])
    addEventListener(what, () => { is ? touched = true : setTimeout(() => { touched = false; }, 50); }, { passive: true });
  const connect = () => {
    stream = new EventSource(live.dataset.live);
    stream.addEventListener(live.dataset.event, (e) => {
      last = Date.now();
      if (e.data !== shown && !touched) renew(live, shown = e.data);
      if (notice.textContent === body.dataset.blind) say("");
    });
    stream.addEventListener("blind", () => { last = Date.now(); say(body.dataset.blind); });
    stream.addEventListener("open", () => { refused = 0; });
    stream.addEventListener("error", () => { if (stream.readyState === EventSource.CLOSED) lose(); });
  };

  // again opens the stream once more: at once when the site was only slow, and ever later when it is refused, as by a site where too much is live. Whoever is
  // not signed in any more is led to where one signs in.
  let refused = 0;
  const again = async () => {
    if (refused++ === 0) { connect(); return; }
    lost = true; // nobody looks meanwhile
    const page = await fetch(location.href, { redirect: "manual", cache: "no-store" }).catch(() => null);
    if (page?.type === "opaqueredirect" && !written()) { location.reload(); return; }
    setTimeout(() => { lost = false; last = Date.now(); connect(); }, Math.min(2 ** refused, 30) * 1000 * (0.5 + Math.random()));
  };
  if (live) {
    connect();
    setInterval(() => { if (!document.hidden && Date.now() - last > silence) lose(); }, 250);
    document.addEventListener("visibilitychange", () => { last = Date.now(); });
  } else if (sites.length) { // nothing is live here: ask whether the site is, so that the next click leads somewhere
    let misses = 0;
    setInterval(async () => {
      if (document.hidden || lost) return;
      misses = await alive(location.origin) ? 0 : misses + 1;
      if (misses > 1) lose();
    }, 1500);
  }
  // Whoever signs out leaves nothing here: payment codes neither, which pages of the wallet take back themselves.
  document.querySelector('form[action="/sign-out"]')?.addEventListener("submit", () => { if (!window.holdfastCodes) window.indexedDB?.deleteDatabase("holdfast"); });
  // The address in the bar is that of the page, without where it came from: a reload does not say it again.
  const here = new URL(location.href);
  if (here.searchParams.has("from")) { here.searchParams.delete("from"); history.replaceState(null, "", here); }
})();
