// Draws the last hour with uPlot. Without it the tables say how things are now.
"use strict";
(() => {
  const box = document.getElementById("plots");
  if (!box || !window.uPlot) return;
  const note = document.getElementById("no-plots");
  const colours = ["--line-1", "--line-2", "--line-3", "--line-4", "--line-5", "--line-6", "--line-7"];
  const dashes = [[], [6, 3], [2, 3], [8, 3, 2, 3], [1, 2], [10, 4], [4, 4]];
  const colour = (i) => getComputedStyle(document.documentElement).getPropertyValue(colours[i % colours.length]).trim();
  const ink = () => getComputedStyle(document.documentElement).getPropertyValue("--soft").trim();
  const line = () => getComputedStyle(document.documentElement).getPropertyValue("--line").trim();
  const hour = 3600;
  // Times are those of the tables: in UTC, and by the 24-hour clock.
  const clock = (ts, seconds) => ts == null ? "–" : new Date(ts * 1e3).toISOString().slice(11, seconds ? 19 : 16);
  const short = (v) => v >= 1e4 ? v / 1e3 + "k" : v;
  let plots = [], known = "";

  const make = (div, data) => {
    const series = [{ label: box.dataset.time, value: (u, ts) => clock(ts, true) }].concat(data.sites.map((s, i) => ({
      label: s.name, stroke: () => colour(i), width: 1.5, dash: dashes[i % dashes.length], points: { show: (u, i, from, to) => to - from < 3, size: 5 }, spanGaps: false,
    })));
    const axis = { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 } };
    return new uPlot({
      width: div.clientWidth, height: 170, series, cursor: { points: { size: 6 } },
      axes: [{ ...axis, space: 64, values: (u, all) => all.map((ts) => clock(ts)) }, { ...axis, size: 52, values: (u, all) => all.map(short) }],
      // The whole hour is shown from the beginning: how much of a line there is says since when something is known.
      scales: { x: { range: (u, min, max) => max == null ? [0, hour] : [max - hour, max] }, y: { range: (u, min, max) => [0, Math.max(1, (max || 0) * 1.1)] } },
      tzDate: (ts) => uPlot.tzDate(new Date(ts * 1e3), "Etc/UTC"),
    }, values(div, data), div);
  };
  const values = (div, data) => [data.at].concat(data.sites.map((s) => s[div.dataset.plot]));

  const draw = async () => {
    try {
      const answer = await fetch(box.dataset.from, { headers: { Accept: "application/json" } });
      if (!answer.ok) throw new Error(answer.status);
      const data = await answer.json(), names = JSON.stringify(data.sites.map((s) => s.name));
      const divs = [...box.querySelectorAll("[data-plot]")];
      if (names !== known) {
        plots.forEach((p) => p.destroy());
        plots = divs.map((d) => make(d, data));
        known = names;
      } else {
        plots.forEach((p, i) => p.setData(values(divs[i], data)));
      }
      note.hidden = true;
    } catch {
      note.textContent = box.dataset.failed;
      note.hidden = false;
    }
  };
  draw();
  setInterval(() => { if (!document.hidden) draw(); }, 10000);
  addEventListener("resize", () => plots.forEach((p) => p.setSize({ width: p.root.parentElement.clientWidth, height: 170 })));
})();
