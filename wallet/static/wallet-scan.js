// Reads a shop's QR code with the camera, in browsers that can (https://developer.mozilla.org/docs/Web/API/BarcodeDetector). Others have the camera app.
"use strict";
(() => {
  const box = document.getElementById("camera"), form = document.getElementById("scan");
  if (!box || !window.BarcodeDetector || !navigator.mediaDevices) return;
  const view = document.getElementById("view"), button = document.getElementById("look"), said = document.getElementById("camera-said");
  box.hidden = false;
  button.addEventListener("click", async () => {
    try {
      const detector = new BarcodeDetector({ formats: ["qr_code"] });
      const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
      view.srcObject = stream;
      view.hidden = false;
      button.hidden = true;
      await view.play();
      const look = async () => {
        const found = await detector.detect(view);
        const code = found.find((f) => /^https?:\/\/\S+\/q\/\S+$/.test(f.rawValue));
        if (!code) { setTimeout(look, 200); return; }
        stream.getTracks().forEach((t) => t.stop());
        form.elements.link.value = code.rawValue;
        form.requestSubmit();
      };
      await look();
    } catch {
      said.textContent = box.dataset.none;
    }
  });
})();
