"use strict";
// Draws the charts in the colours of the style sheet, and again when these change.
(() => {
  const root = document.documentElement;
  const specs = JSON.parse(document.getElementById("charts-data").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const narrow = matchMedia("(max-width: 40rem)");
  const coarse = matchMedia("(pointer: coarse)");
  const PAPER_WIDTH = 680;

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

  const layoutOf = (spec, width) => ({
    ...spec.layout,
    xaxis: axis(spec.layout.xaxis),
    yaxis: axis(spec.layout.yaxis),
    ...(width ? { width, autosize: false } : { autosize: true }),
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
    return Plotly.react(
      document.getElementById(`chart-${spec.key}`),
      coloured(data, style),
      coloured(layoutOf(spec, width), style),
      { responsive: true, displayModeBar: false, doubleClick: "reset" },
    );
  };

  // data-charts says in which colours all of them are.
  const settle = () => {
    const isPaper = root.classList.contains("printing");
    root.dataset.charts = isPaper ? "paper" : dark.matches ? "dark" : "light";
  };

  const drawAll = async (width) => {
    await Promise.all(specs.map((spec) => draw(spec, width)));
    settle();
  };

  // One chart between two pictures of the page, so that it can be scrolled meanwhile.
  const drawInTurn = async () => {
    for (const spec of specs) {
      await new Promise((resolve) => setTimeout(resolve));
      await draw(spec);
    }
    settle();
  };

  dark.addEventListener("change", () => drawAll());
  addEventListener("beforeprint", () => { root.classList.add("printing"); drawAll(PAPER_WIDTH); });
  addEventListener("afterprint", () => { root.classList.remove("printing"); drawAll(); });
  drawInTurn();
})();
