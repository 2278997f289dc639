// Makes payment codes in the browser, with or without a network: "28", the eight digits of the customer, and eight digits of a time-based one-time password
// (RFC 6238) with HMAC-SHA-256 and steps of a minute. The key never leaves the browser, and cannot be read in it.
"use strict";
(async () => {
  const box = document.getElementById("codes"), enable = document.getElementById("enable"), plain = document.getElementById("plain");
  if (!box || !window.crypto?.subtle || !window.indexedDB) return;
  const codes = window.holdfastCodes, by = (id) => document.getElementById(id);
  const step = 60000, owner = box.dataset.owner;
  const online = !!owner; // else the page comes from what the browser keeps for when there is no network
  let phone = null, shown = -1, spent = -1, busy = false;

  const now = () => Date.now() + (phone?.ahead || 0);
  const codeOf = async (at) => {
    const count = new DataView(new ArrayBuffer(8));
    count.setBigUint64(0, BigInt(at));
    const sum = new DataView(await crypto.subtle.sign("HMAC", phone.key, count.buffer));
    const digits = (sum.getUint32(sum.getUint8(31) & 15) & 0x7fffffff) % 100000000;
    return "28" + phone.sequence + String(digits).padStart(8, "0");
  };
  const tick = async () => {
    if (!phone || busy) return;
    const at = Math.floor(now() / step), left = Math.ceil((step - now() % step) / 1000);
    by("left").value = left;
    by("next").textContent = box.dataset.in.replace("%s", left);
    by("no-net").hidden = navigator.onLine && online;
    by("used").hidden = spent !== at;
    box.classList.toggle("spent", spent === at);
    if (at === shown) return;
    busy = true;
    const code = await codeOf(at);
    by("bars").querySelector("path").setAttribute("d", drawCode.bars(code));
    by("qr").querySelector("path").setAttribute("d", drawCode.qr(code));
    by("digits").textContent = code.match(/.{1,4}/g).join(" ");
    shown = at;
    busy = false;
  };
  const show = async () => {
    by("stop").elements.device.value = phone.device;
    box.hidden = false;
    if (enable) enable.hidden = true;
    if (plain) plain.hidden = true;
    await tick();
  };

  // A payment that has just been made has used the code: another one comes with the next minute.
  const paid = by("paid");
  if (paid) new MutationObserver(() => {
    const receipt = paid.querySelector("[data-new] a")?.href;
    if (receipt && receipt !== paid.dataset.seen) { paid.dataset.seen = receipt; spent = shown; tick(); }
  }).observe(paid, { childList: true });

  if (enable) enable.querySelector("form").addEventListener("submit", async (e) => {
    e.preventDefault();
    const said = by("enable-problem");
    said.hidden = true;
    try {
      const answer = await fetch("/wallet/code", { method: "POST", headers: { Accept: "application/json" }, body: new URLSearchParams(new FormData(e.target)) });
      const made = await answer.json();
      if (!answer.ok) throw new Error(made.problem);
      const secret = Uint8Array.from(atob(made.secret), (c) => c.charCodeAt(0));
      const key = await crypto.subtle.importKey("raw", secret, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
      secret.fill(0);
      const ahead = +box.dataset.now - performance.timeOrigin;
      phone = { owner, sequence: box.dataset.sequence, device: made.device, key, ahead: Math.abs(ahead) > 20000 ? ahead : 0 };
      await codes.keep(phone);
      await show();
    } catch (why) {
      said.textContent = why instanceof TypeError || why instanceof SyntaxError ? document.body.dataset.lostAll : why.message;
      said.hidden = false;
    }
  });
  try {
    phone = await codes.read();
  } catch { return; } // a browser that keeps nothing: the site draws
  if (online && phone && (phone.owner !== owner || box.dataset.devices !== "?" && !box.dataset.devices.split(",").includes(String(phone.device)))) {
    await codes.forget(); // it is somebody else's, or was removed
    phone = null;
  }
  if (phone && online) { // a clock that is wrong by much makes codes for the time of the sites
    const ahead = +box.dataset.now - Date.now();
    const used = Math.abs(ahead) > 20000 ? ahead : 0;
    if (used !== (phone.ahead || 0)) { phone.ahead = used; await codes.keep(phone); }
  }
  setInterval(tick, 250);
  addEventListener("online", tick);
  addEventListener("offline", tick);
  if (phone) await show();
  else if (!online) by("no-codes").hidden = false;
  else enable.hidden = false;
  box.dataset.ready = "1";

  by("stop").addEventListener("submit", () => { codes.forget(); });

  // The page is kept, so that it opens without a network.
  if (online && navigator.serviceWorker) navigator.serviceWorker.register("/wallet/worker.js").catch(() => {});
})();
