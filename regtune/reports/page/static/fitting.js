// A chart as wide as its box and in the colours of the page, which are those of `blue`; the report and the service have it.
const MANY = 4000; // rows: beyond that a canvas is faster than an SVG

function rendererOf(spec) {
  return Object.values(spec.datasets).reduce((sum, data) => sum + data.length, 0) > MANY ? "canvas" : "svg";
}

function fitted(spec, width, dark, blue) {
  // Blue is too dim on a dark page: there its lighter sister stands for it.
  const swap = (text) => dark ? text.replaceAll(blue.light, blue.dark) : text;
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
