// Keeps the page with payment codes for when there is no network. Whatever else the wallet shows comes from a site or not at all: money is never shown as it
// was some time ago.
"use strict";
const files = [/* files */], page = "/wallet/offline", shelf = "holdfast-" + files.join();

self.addEventListener("install", (e) => e.waitUntil((async () => {
  await (await caches.open(shelf)).addAll(files.concat(page));
  await self.skipWaiting();
})()));
self.addEventListener("activate", (e) => e.waitUntil((async () => {
  for (const name of await caches.keys()) if (name.startsWith("holdfast-") && name !== shelf) await caches.delete(name);
  await self.clients.claim();
})()));
self.addEventListener("fetch", (e) => {
  const at = new URL(e.request.url);
  if (e.request.method !== "GET" || at.origin !== location.origin) return;
  if (files.includes(at.pathname)) {
    e.respondWith(caches.match(at.pathname).then((kept) => kept || fetch(e.request)));
  } else if (e.request.mode === "navigate" && at.pathname === "/wallet/code") {
    const late = new Promise((_, no) => setTimeout(no, 4000));
    e.respondWith(Promise.race([fetch(e.request), late]).then((a) => a.status < 500 ? a : Promise.reject()).catch(() => caches.match(page)));
  }
});
