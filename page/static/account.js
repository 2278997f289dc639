// Passkeys (https://www.w3.org/TR/webauthn-3/), invitations in the part of an address that stays in the browser, and passwords that can be looked at. Signing in with a password,
// and everything else on these pages, works without it.
"use strict";
(() => {
  const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const named = (list) => (list || []).map((c) => ({ ...c, id: bytes(c.id) }));

  // What the server says, as the browser wants it; and what the browser gives, as the server wants it.
  const wanted = (o) => ({
    ...o, challenge: bytes(o.challenge),
    ...(o.user && { user: { ...o.user, id: bytes(o.user.id) } }),
    ...(o.excludeCredentials && { excludeCredentials: named(o.excludeCredentials) }),
    ...(o.allowCredentials && { allowCredentials: named(o.allowCredentials) }),
  });
  const given = (c) => {
    const r = c.response, response = { clientDataJSON: text(r.clientDataJSON) };
    if (r.attestationObject) {
      response.attestationObject = text(r.attestationObject);
      response.transports = r.getTransports ? r.getTransports() : [];
    } else {
      response.authenticatorData = text(r.authenticatorData);
      response.signature = text(r.signature);
      if (r.userHandle) response.userHandle = text(r.userHandle);
    }
    return { id: c.id, rawId: text(c.rawId), type: c.type, authenticatorAttachment: c.authenticatorAttachment || undefined, clientExtensionResults: c.getClientExtensionResults(), response };
  };

  // begin gets a challenge, which is good for five minutes.
  const begin = async (form) => {
    const r = await fetch(form.dataset.challenge, { method: "POST", redirect: "error", cache: "no-store" });
    return { ...(await r.json()), at: Date.now() };
  };

  // ours reports whether passkeys of a domain are good at this address.
  const ours = (domain) => !domain || location.hostname === domain || location.hostname.endsWith("." + domain);

  const passkey = async (form) => {
    const said = form.querySelector("[data-say]"), button = form.querySelector("button"), field = (name) => form.elements[name];
    const say = (words, wrong) => { said.textContent = words; said.className = wrong ? "wrong" : "soft"; };
    let ready = null, busy = false;
    if (form.dataset.passkey === "get") { // no button where there are no passkeys
      ready = await begin(form);
      if (!ready.options || !ours(ready.options.rpId)) return;
    }
    form.hidden = false;
    for (const p of document.querySelectorAll("[data-without-passkeys]")) p.hidden = true;
    form.addEventListener("submit", async (e) => {
      if (field("credential").value) return;
      e.preventDefault();
      if (busy) return;
      busy = button.disabled = true;
      say(form.dataset.waiting, false);
      try {
        if (!ready || Date.now() - ready.at > 240000) ready = await begin(form);
        if (!ready.options) { say(ready.problem || form.dataset.failed, true); return; }
        const options = { publicKey: wanted(ready.options) };
        const c = form.dataset.passkey === "get" ? await navigator.credentials.get(options) : await navigator.credentials.create(options);
        field("state").value = ready.state;
        field("credential").value = JSON.stringify(given(c));
        const phone = document.getElementById("phone");
        if (phone && field("phone")) field("phone").value = phone.checked ? "1" : "";
        say("", false);
        button.disabled = false;
        form.submit();
      } catch (error) {
        const why = { NotAllowedError: "cancelled", AbortError: "cancelled", InvalidStateError: "known", SecurityError: "host" }[error.name];
        say(form.dataset[why || "failed"], true);
      } finally {
        ready = null;
        busy = button.disabled = false;
      }
    });
  };
  if (window.PublicKeyCredential && navigator.credentials) {
    for (const form of document.querySelectorAll("form[data-passkey]")) passkey(form).catch(() => {});
  }

  // An invitation after the # never left the browser; now it goes into the form, and out of the address and the history.
  const invited = document.querySelector("form[data-invitation]");
  if (invited && location.hash.startsWith("#hfi_")) {
    invited.elements.invitation.value = location.hash.slice(1);
    history.replaceState(null, "", location.pathname + location.search);
    invited.submit();
  }

  for (const input of document.querySelectorAll("input[data-show]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "plain reveal";
    button.textContent = input.dataset.show;
    button.addEventListener("click", () => {
      const hidden = input.type === "password";
      for (const x of input.form.querySelectorAll("input[autocomplete='new-password']")) x.type = hidden ? "text" : "password";
      button.textContent = hidden ? input.dataset.hide : input.dataset.show;
    });
    input.after(button);
  }
})();
