import type { TopLevelSpec } from "vega-lite";
import { EastingError } from "../errors.js";

async function loadVega() {
  try {
    const [vega, vegaLite] = await Promise.all([import("vega"), import("vega-lite")]);
    return { ...vega, compile: vegaLite.compile };
  } catch (error) {
    throw new EastingError(
      "EASTING_VEGA",
      `plot: expected the packages "vega" and "vega-lite", which draw, got ${(error as Error).message.split("\n")[0]}`,
      'run "npm install vega vega-lite"',
    );
  }
}

/** The SVG of a vega-lite specification that holds its own data. Equal specifications give equal text. */
export async function svg(spec: object): Promise<string> {
  const { compile, parse, resetSVGDefIds, View } = await loadVega();
  const view = new View(parse(compile(spec as TopLevelSpec).spec), { renderer: "none" });
  try {
    await view.runAsync();
    resetSVGDefIds(); // names of clips and gradients would go on counting
    return `${await view.toSVG()}\n`;
  } finally {
    view.finalize();
  }
}
