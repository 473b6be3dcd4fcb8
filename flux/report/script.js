"use strict";
// Draws each chart when it comes near to what the reader sees, in the colours of the style sheet, and
// again when these change.
(() => {
  const root = document.documentElement;
  const specs = JSON.parse(document.getElementById("charts-data").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const narrow = matchMedia("(max-width: 40rem)");
  const coarse = matchMedia("(pointer: coarse)");
  const PAPER_WIDTH = 680;
  const MARGIN = "50% 0px"; // of the height of the window, above and below

  // A copy of a spec in which "var(--name)" is the colour of that name.
  const coloured = (node, style) => {
    if (typeof node === "string") {
      const found = /^var\((--[\w-]+)\)$/.exec(node);
      return found ? style.getPropertyValue(found[1]).trim() : node;
    }
    if (Array.isArray(node)) {
      const isPlain = node.length > 2 && typeof node[0] === "number"; // points: no colour in there
      return isPlain ? node : node.map((item) => coloured(item, style));
    }
    if (node && typeof node === "object") {
      const entries = Object.entries(node);
      return Object.fromEntries(entries.map(([key, item]) => [key, coloured(item, style)]));
    }
    return node;
  };

  const axis = (own) => ({
    gridcolor: "var(--rule)", linecolor: "var(--rule)", zerolinecolor: "var(--rule)",
    automargin: true, fixedrange: coarse.matches, ...own,
  });

  const LETTER = 6.2; // width of one in the name of a phase

  // The name of a band as far as it fits: it must not run into the next one.
  const fitted = (text, room) => {
    const plain = text.replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&amp;/g, "&");
    const letters = Math.floor((room - 10) / LETTER);
    if (plain.length <= letters) return text;
    const cut = letters < 3 ? "" : `${plain.slice(0, letters - 1)}…`;
    return cut.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  };

  const shapesOf = (spec, width) => {
    const [start, end] = spec.layout.xaxis.range ?? [0, 1];
    return (spec.layout.shapes ?? []).map((shape) => {
      if (!shape.label) return shape;
      const room = ((shape.x1 - shape.x0) / (end - start)) * (width - 80);
      return { ...shape, label: { ...shape.label, text: fitted(shape.label.text, room) } };
    });
  };

  // Where there is little room, "0 %" and "50 %" would stand on each other.
  const xaxisOf = ({ tickvals, ticktext, ...rest }) => {
    if (!tickvals) return rest;
    const kept = narrow.matches ? 1 : 0;
    return { ...rest, tickvals: tickvals.slice(kept), ticktext: ticktext.slice(kept), tickangle: 0 };
  };

  const layoutOf = (spec, place, width) => ({
    ...spec.layout,
    xaxis: axis(xaxisOf(spec.layout.xaxis)),
    yaxis: axis(spec.layout.yaxis),
    shapes: shapesOf(spec, width ?? place.clientWidth),
    ...(width ? { width, height: place.clientHeight, autosize: false } : { autosize: true }),
    margin: { l: narrow.matches ? 36 : 56, r: 12, t: 8, b: 40 },
    paper_bgcolor: "var(--surface)",
    plot_bgcolor: "var(--surface)",
    font: { color: "var(--ink)", family: "system-ui, sans-serif", size: 12 },
    hoverlabel: { bgcolor: "var(--surface)", font: { color: "var(--ink)" } },
    legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 },
    showlegend: spec.data.some((trace) => trace.name),
    dragmode: coarse.matches ? false : "zoom",
  });

  const draw = (spec, width) => {
    const style = getComputedStyle(root);
    const data = spec.data.map((trace) => {
      const bar = trace.colorbar;
      return bar && narrow.matches ? { ...trace, showscale: false } : trace;
    });
    const place = document.getElementById(`chart-${spec.key}`);
    return Plotly.react(
      place,
      coloured(data, style),
      coloured(layoutOf(spec, place, width), style),
      { responsive: true, displayModeBar: false, doubleClick: "reset" },
    );
  };

  const colours = () =>
    root.classList.contains("printing") ? "paper" : dark.matches ? "dark" : "light";

  const near = new Set(specs.map((spec) => spec.key)); // charts that the reader sees, or soon will
  const drawn = new Map(); // in which colours each chart is
  const isDue = (spec) => near.has(spec.key) && drawn.get(spec.key) !== colours();
  let isDrawing = false;

  // One chart between two pictures of the page, so that it can be scrolled meanwhile; data-charts
  // says in which colours all are that are near.
  const drawNear = async () => {
    if (isDrawing) return;
    isDrawing = true;
    for (let spec = specs.find(isDue); spec; spec = specs.find(isDue)) {
      await new Promise((resolve) => setTimeout(resolve));
      drawn.set(spec.key, colours());
      try {
        await draw(spec);
      } catch (error) {
        console.error(spec.key, error); // the others are drawn all the same
      }
    }
    isDrawing = false;
    if (!root.classList.contains("printing")) root.dataset.charts = colours();
  };

  // Paper has all of them, at once: the browser does not wait.
  const drawForPaper = async () => {
    root.classList.add("printing");
    specs.forEach((spec) => drawn.set(spec.key, "paper"));
    await Promise.all(specs.map((spec) => draw(spec, PAPER_WIDTH)));
    root.dataset.charts = "paper";
  };

  const watch = () => {
    near.clear();
    const keys = new Map();
    const observer = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        const key = keys.get(entry.target);
        if (entry.isIntersecting) near.add(key);
        else near.delete(key);
      }
      drawNear();
    }, { rootMargin: MARGIN });
    for (const spec of specs) {
      const place = document.getElementById(`chart-${spec.key}`);
      keys.set(place, spec.key);
      observer.observe(place);
    }
  };

  dark.addEventListener("change", drawNear);
  addEventListener("beforeprint", drawForPaper);
  addEventListener("afterprint", () => { root.classList.remove("printing"); drawNear(); });
  if (specs.length && "IntersectionObserver" in window) watch();
  else drawNear();
})();
