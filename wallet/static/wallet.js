// Small things that pages of the wallet do by themselves; each works without, by a link or a form.
"use strict";
(() => {
  // Times are told in the zone of whoever reads them.
  const lang = document.documentElement.lang;
  const format = new Intl.DateTimeFormat(lang, { dateStyle: "medium", timeStyle: "medium" });
  const brief = new Intl.DateTimeFormat(lang, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" }), year = new Date().getFullYear();
  const local = (root) => root.querySelectorAll("time[datetime]").forEach((t) => {
    const at = new Date(t.dateTime);
    if (!isNaN(at)) t.textContent = (t.closest(".lines") && at.getFullYear() === year ? brief : format).format(at);
  });
  local(document);
  document.querySelectorAll("[data-live]").forEach((part) => new MutationObserver(() => {
    local(part);
    const go = part.querySelector("[data-go]"); // what nobody knew is known now
    if (go) location.assign(go.href);
  }).observe(part, { childList: true }));

  // What has to be typed into another app can be copied.
  if (navigator.clipboard) document.querySelectorAll(".copy").forEach((what) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "plain";
    const { copy, copied } = what.closest("[data-copy]").dataset;
    button.textContent = copy;
    button.setAttribute("aria-label", button.textContent + " " + what.textContent);
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(what.textContent);
      button.textContent = copied;
    });
    what.after(" ", button);
  });

  // A form that moves money is sent once, however often it is tapped.
  document.querySelectorAll("main form[method=post]").forEach((form) => form.addEventListener("submit", (e) => {
    if (form.dataset.sent) e.preventDefault();
    form.dataset.sent = "1";
    setTimeout(() => delete form.dataset.sent, 5000);
  }));

  // Where this browser keeps how it makes payment codes: the key can be used, and not be read, not even by us.
  const store = () => new Promise((resolve, reject) => {
    const open = indexedDB.open("holdfast", 1);
    open.onupgradeneeded = () => open.result.createObjectStore("codes");
    open.onsuccess = () => resolve(open.result);
    open.onerror = () => reject(open.error);
  });
  const ask = async (mode, what) => {
    const db = await store();
    return new Promise((resolve, reject) => {
      const step = db.transaction("codes", mode), asked = what(step.objectStore("codes"));
      step.oncomplete = () => { db.close(); resolve(asked.result); };
      step.onabort = step.onerror = () => { db.close(); reject(step.error); };
    });
  };
  window.holdfastCodes = {
    read: () => ask("readonly", (s) => s.get("phone")),
    keep: (phone) => ask("readwrite", (s) => s.put(phone, "phone")),
    forget: () => ask("readwrite", (s) => s.delete("phone")),
  };

  // Whoever signs out takes the codes with them: this browser is no phone any more.
  const out = document.querySelector('form[action="/sign-out"]');
  if (out) out.addEventListener("submit", async (e) => {
    if (out.dataset.done || !window.indexedDB) return;
    e.preventDefault();
    try {
      const phone = await window.holdfastCodes.read();
      await window.holdfastCodes.forget();
      if (phone) await fetch("/wallet/devices/remove", { method: "POST", body: new URLSearchParams({ device: phone.device }), redirect: "manual", signal: AbortSignal.timeout(2000) });
    } catch { /* signing out goes first */ }
    out.dataset.done = "1";
    out.requestSubmit();
  });

  const list = document.getElementById("devices");
  if (list && window.indexedDB) window.holdfastCodes.read().then((phone) => {
    const here = phone && list.querySelector(`[data-device="${phone.device}"] span`);
    if (here) here.append(" " + list.dataset.here);
  }).catch(() => {});
})();
