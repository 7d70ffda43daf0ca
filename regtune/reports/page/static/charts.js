// Draws every chart, from the top, as wide as its box and in the colours of the page; again when either changes.
const report = JSON.parse(document.getElementById("report-data").textContent);
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const MANY = 4000; // rows: beyond that a canvas is faster than an SVG

function fitted(spec, width) {
  // Blue is too dim on a dark page: there its lighter sister stands for it.
  const swap = (text) => dark.matches ? text.replaceAll(report.blue.light, report.blue.dark) : text;
  const fit = JSON.parse(swap(JSON.stringify(spec)));
  const parts = fit.concat || (fit.facet ? [fit.spec] : null);
  if (parts) {
    const inner = parts[0].width, gap = 20, left = 60;
    const own = fit.concat ? 50 : 8; // in a facet only the first column has an axis; the others have halves of labels
    const room = fit.concat ? width : width - left;
    const least = 90 + own + gap;
    const count = fit.concat ? fit.concat.length : Infinity;
    const fits = Math.max(1, Math.floor(room / (inner + own + gap)));
    fit.columns = Math.max(Math.min(fits, count), room >= 2 * least && inner < 200 && count > 1 ? 2 : 1);
    for (const part of parts) {
      part.width = Math.max(90, Math.floor(room / fit.columns) - own - gap);
      if (part.title) part.title.limit = part.width + 30;
    }
    fit.spacing = gap;
  } else if (typeof fit.width === "number") {
    fit.width = width;
    fit.autosize = { type: "fit-x", contains: "padding" };
  }
  return fit;
}

let round = 0;
async function draw() {
  const mine = ++round;
  for (const box of document.querySelectorAll(".chart")) {
    const spec = report.charts[box.dataset.chart];
    const rows = Object.values(spec.datasets).reduce((sum, data) => sum + data.length, 0);
    await window.vegaEmbed(box, fitted(spec, box.clientWidth), {
      config: dark.matches ? report.dark : report.light,
      renderer: rows > MANY ? "canvas" : "svg",
      tooltip: { theme: dark.matches ? "dark" : "light" },
      actions: { export: true, source: false, compiled: false, editor: false },
      downloadFileName: box.dataset.chart,
    }).catch((error) => { box.textContent = `This chart could not be drawn: ${error.message}`; });
    await new Promise((next) => setTimeout(next)); // a page of many charts can be read and moved meanwhile
    if (mine !== round) return; // another drawing of all has begun
  }
}

let width = window.innerWidth, waiting;
window.addEventListener("resize", () => {
  if (window.innerWidth === width) return; // a phone's address bar changes the height only
  width = window.innerWidth;
  clearTimeout(waiting);
  waiting = setTimeout(draw, 150);
});
dark.addEventListener("change", draw);
draw();
