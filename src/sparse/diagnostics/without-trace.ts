import type { Module } from "../../nn/index.js";
import type { Tensor } from "../../tensor/index.js";

interface Site {
  needed: Tensor | null;
}

/**
 * Runs a pass of its own over a network, with all channels of every layer; then puts back what passes move (running
 * statistics) and which channels steps compute, so that training goes on as if the pass had not been.
 */
export async function withoutTrace<R>(model: Module, pass: () => Promise<R>): Promise<R> {
  const buffers = [...model.buffers().values()].map((buffer) => [buffer, buffer.dataSync()] as const);
  const sites = [...model.modules().values()]
    .filter((module): module is Module & Site => "needed" in module)
    .map((site) => [site, site.needed] as const);
  for (const [site] of sites) site.needed = null;
  try {
    return await pass();
  } finally {
    for (const [site, needed] of sites) site.needed = needed;
    for (const [buffer, before] of buffers) buffer.write(before);
  }
}
