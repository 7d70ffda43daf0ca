// Draws every chart, from the top, as wide as its box and in the colours of the page; again when either changes.
const report = JSON.parse(document.getElementById("report-data").textContent);
const dark = window.matchMedia("(prefers-color-scheme: dark)");

let round = 0;
async function draw() {
  const mine = ++round;
  for (const box of document.querySelectorAll(".chart")) {
    const spec = report.charts[box.dataset.chart];
    await window.vegaEmbed(box, fitted(spec, box.clientWidth, dark.matches, report.blue), {
      config: dark.matches ? report.dark : report.light,
      renderer: rendererOf(spec),
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
