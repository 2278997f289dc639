// Asks how the payment stands and goes on when it does; counts the time that is left. The page does without: this only spares waiting.
'use strict';
(() => {
  const main = document.querySelector('main');
  const status = document.getElementById('status');
  const says = document.getElementById('says');
  if (status.dataset.goesOn) says.textContent += ' ' + status.dataset.goesOn;
  const shown = says.textContent;
  const here = new URL(main.dataset.here, location.href).href;
  const final = ['paid', 'refunded', 'closed', 'expired', 'unknown', 'foreign'].includes(main.dataset.state);
  const again = () => location.replace(here);

  let asked = 0, failures = 0, timer = 0, asking = false;
  const pause = () => {
    const base = failures ? Math.min(15000, 1000 * 2 ** failures) : asked < 60 ? 2000 : 5000;
    return base * (0.8 + 0.4 * Math.random());
  };
  const later = () => { clearTimeout(timer); timer = setTimeout(ask, pause()); };
  async function ask() {
    if (asking || document.hidden) return;
    asking = true;
    try {
      const answer = await fetch(new URL(main.dataset.poll, location.href), { cache: 'no-store', credentials: 'omit', signal: AbortSignal.timeout(10000) });
      if (!answer.ok) throw new Error(String(answer.status));
      const { state } = await answer.json();
      if (state !== main.dataset.state) return again();
      if (failures) says.textContent = shown;
      failures = 0;
    } catch {
      failures++;
      if (failures === 2) says.textContent = status.dataset.lost;
    } finally {
      asked++;
      asking = false;
    }
    later();
  }
  if (!final) {
    later();
    document.addEventListener('visibilitychange', () => { if (!document.hidden) ask(); });
    addEventListener('online', ask);
  }
  const late = Number(main.dataset.lateIn);
  if (late > 0) setTimeout(again, late * 1000);

  const left = document.getElementById('left');
  if (left) {
    const end = performance.now() + 1000 * Number(left.dataset.seconds);
    const [d, h, min, s] = left.dataset.units.split('|');
    const tell = () => {
      const n = Math.max(0, Math.round((end - performance.now()) / 1000));
      const days = Math.floor(n / 86400), hours = Math.floor(n / 3600) % 24, minutes = Math.floor(n / 60) % 60;
      left.textContent = days ? days + d + ' ' + hours + h : (hours ? hours + h + ' ' : '') + minutes + min + ' ' + n % 60 + s;
      if (n === 0) { clearInterval(clock); ask(); }
    };
    const clock = setInterval(tell, 1000);
    tell();
  }

  const forms = [...document.querySelectorAll('form[data-paying]')].map((form) => {
    const button = form.querySelector('button');
    return { form, button, label: button.textContent };
  });
  for (const { form, button } of forms) {
    form.addEventListener('submit', (event) => {
      if (forms.some((f) => f.button.getAttribute('aria-disabled'))) return event.preventDefault();
      for (const f of forms) f.button.setAttribute('aria-disabled', 'true');
      button.textContent = says.textContent = form.dataset.paying;
    });
  }
  if (forms.length) addEventListener('pageshow', () => {
    for (const { button, label } of forms) {
      button.removeAttribute('aria-disabled');
      button.textContent = label;
    }
    says.textContent = shown;
  });

  const going = document.getElementById('going');
  if (going && going.dataset.in) {
    const stay = document.getElementById('stay');
    const count = document.getElementById('going-in');
    let n = Number(going.dataset.in);
    const tell = () => { count.textContent = going.dataset.says + ' ' + n + ' ' + going.dataset.second; };
    const clock = setInterval(() => {
      if (--n > 0) return tell();
      clearInterval(clock);
      location.replace(document.getElementById('return').href);
    }, 1000);
    stay.hidden = false;
    stay.addEventListener('click', () => { clearInterval(clock); count.textContent = ''; stay.hidden = true; });
    const told = document.createElement('span'); // for those who do not see the seconds
    told.className = 'hidden';
    told.textContent = ' ' + going.dataset.says;
    says.append(told);
    tell();
  }
})();
