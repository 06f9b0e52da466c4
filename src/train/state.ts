import { EastingError } from "../errors.js";
import type { Module } from "../nn/index.js";
import type { Optimizer } from "../optim/index.js";
import { Topology } from "../tensor/index.js";
import type { CheckpointContent, SectionData } from "./checkpoint.js";

type Sections = Map<string, SectionData>;

/** All numbers of a network and its optimizer, by name. */
export function collectState(model: Module, optimizer: Optimizer | null): Sections {
  const sections: Sections = new Map();
  for (const [name, parameter] of model.namedParameters()) {
    if (parameter.sparse) sections.set(`topology/${name}`, parameter.sparse.topology.indices);
    sections.set(`parameter/${name}`, parameter.leaf.dataSync());
  }
  for (const [name, buffer] of model.buffers()) sections.set(`buffer/${name}`, buffer.dataSync());
  for (const [name, tensor] of optimizer?.state() ?? []) sections.set(`optimizer/${name}`, tensor.dataSync());
  return sections;
}

/** Puts what `collectState` gave into a network of the same structure; a sparse parameter takes the stored topology. */
export function restoreState(model: Module, optimizer: Optimizer | null, { sections }: CheckpointContent): void {
  for (const [name, parameter] of model.namedParameters()) {
    const topology = sections.get(`topology/${name}`);
    const values = section(sections, `parameter/${name}`, topology ? topology.length : parameter.size);
    if (topology) parameter.replace(new Topology(parameter.shape, topology as Int32Array), values as Float32Array);
    else parameter.write(values);
  }
  for (const [name, buffer] of model.buffers()) buffer.write(section(sections, `buffer/${name}`, buffer.size));
  const state = [...sections].filter(([name]) => name.startsWith("optimizer/"));
  optimizer?.load(model.parameters(), new Map(state.map(([name, data]) => [name.slice("optimizer/".length), data])));
}

function section(sections: CheckpointContent["sections"], name: string, size: number): SectionData {
  const data = sections.get(name);
  if (!data || data.length !== size)
    throw new EastingError(
      "EASTING_CHECKPOINT",
      `checkpoint: expected ${name} with ${size} numbers, got ${data ? data.length : "none"}`,
      "it was written for another network",
    );
  return data;
}
