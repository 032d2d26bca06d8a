// Draws the figures that stand in a chart's `data-figures`; beside each chart the same stands as a table.
(() => {
  "use strict";
  if (typeof uPlot === "undefined") return;

  // A colour as the style sheet has it now, light or dark: only an element can say what light-dark() comes to.
  const colour = (name) => {
    const probe = document.createElement("span");
    probe.style.color = `var(--${name})`;
    document.body.append(probe);
    const found = getComputedStyle(probe).color;
    probe.remove();
    return found;
  };

  const axes = ({ hourly, zone }) => {
    const look = {
      stroke: colour("ink-soft"),
      font: "12px system-ui, sans-serif",
      grid: { stroke: colour("line"), width: 1 },
      ticks: { show: false },
    };
    const day = new Intl.DateTimeFormat(undefined, hourly ? { hour: "2-digit", minute: "2-digit" } : { day: "numeric", month: "short", timeZone: zone });
    const whole = (value) => (Number.isInteger(value) ? String(value) : "");
    return [
      { ...look, grid: { show: false }, size: 28, space: 64, values: (_, splits) => splits.map((at) => day.format(new Date(at * 1000))) },
      { ...look, size: 40, values: (_, splits) => splits.map(whole) },
    ];
  };

  const options = (element, figures, series, tall) => {
    const step = figures.hourly ? 3600 : 86400;
    const { times } = figures;
    return {
      width: element.clientWidth,
      height: tall,
      legend: { show: false },
      cursor: { drag: { x: false, y: false }, points: { show: false } },
      // Days stand at their midnight, so no tick falls between two bars.
      scales: {
        x: { range: () => [times[0] - step * 0.6, times[times.length - 1] + step * 0.6] },
        y: { range: (_, low, high) => [0, Math.max(1, high * 1.12)] },
      },
      axes: (([x, y]) => [{ ...x, splits: () => times.filter((_, at) => at % Math.ceil(times.length / (element.clientWidth / 74)) === 0) }, y])(axes(figures)),
      series: [{}, ...series],
    };
  };

  const bars = uPlot.paths.bars({ size: [0.62, 26], radius: 0.18 });
  const draw = (element) => {
    const figures = JSON.parse(element.dataset.figures);
    element.replaceChildren();
    if (element.dataset.chart === "calls") {
      const all = figures.answered.map((answered, at) => answered + figures.missed[at]);
      const series = [
        { fill: colour("bad"), stroke: "transparent", width: 0, paths: bars, points: { show: false } },
        { fill: colour("accent-fill"), stroke: "transparent", width: 0, paths: bars, points: { show: false } },
      ];
      new uPlot(options(element, figures, series, 260), [figures.times, all, figures.answered], element);
    } else {
      const series = [{ stroke: colour("accent"), width: 2, fill: colour("accent-wash"), points: { show: false } }];
      new uPlot(options(element, figures, series, 130), [figures.times, figures.minutes], element);
    }
  };

  const drawAll = () => { for (const element of document.querySelectorAll("[data-chart]")) draw(element); };
  let waiting;
  addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(drawAll, 150); });
  document.addEventListener("theme", drawAll);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  drawAll();
})();
