// uPlot, with our colours and our language. Loaded by ctx.chart() when a view draws its first chart.
import uPlot from "uplot/uPlot.esm.js";

export { uPlot };
