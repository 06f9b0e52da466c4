import { Tensor } from "../tensor/index.js";
import { Parameter } from "./parameter.js";

/**
 * A part of a network: parameters, buffers and smaller modules in its properties (or arrays of modules), and a forward.
 * Names are property paths: `layer1.0.conv1.weight`.
 */
export abstract class Module {
  training = true;

  abstract forward(x: Tensor): Tensor;

  /** Parameters by name; one that is reachable twice appears once. */
  namedParameters(): Map<string, Parameter> {
    const found = new Map<string, Parameter>();
    const seen = new Set<Parameter>();
    for (const [path, value] of this.#leaves())
      if (value instanceof Parameter && !seen.has(value)) {
        seen.add(value);
        value.name = path;
        found.set(path, value);
      }
    return found;
  }

  parameters(): Parameter[] {
    return [...this.namedParameters().values()];
  }

  /** State that is not trained, by name: running statistics. */
  buffers(): Map<string, Tensor> {
    return new Map(this.#leaves().filter((entry): entry is [string, Tensor] => entry[1] instanceof Tensor));
  }

  /** This module ("") and every module below it, by name. */
  modules(): Map<string, Module> {
    const found = new Map<string, Module>([["", this]]);
    for (const [name, child] of this.#children())
      for (const [path, module] of child.modules()) found.set(path ? `${name}.${path}` : name, module);
    return found;
  }

  /** Switches training behaviour (batch statistics) on or off. */
  train(mode = true): this {
    for (const module of this.modules().values()) module.training = mode;
    return this;
  }
  eval(): this {
    return this.train(false);
  }

  /** Frees all parameters and buffers. */
  dispose(): void {
    for (const parameter of this.parameters()) parameter.dispose();
    for (const buffer of this.buffers().values()) buffer.dispose();
  }

  #children(): [string, Module][] {
    return Object.entries(this).flatMap(([name, value]) => {
      if (value instanceof Module) return [[name, value] as [string, Module]];
      if (Array.isArray(value))
        return value.flatMap((item, i) => (item instanceof Module ? [[`${name}.${i}`, item] as [string, Module]] : []));
      return [];
    });
  }

  #leaves(): [string, Parameter | Tensor][] {
    return [...this.modules()].flatMap(([path, module]) =>
      Object.entries(module).flatMap(([name, value]) =>
        value instanceof Parameter || value instanceof Tensor
          ? [[path ? `${path}.${name}` : name, value] as [string, Parameter | Tensor]]
          : [],
      ),
    );
  }
}

/** Modules one after another. */
export class Sequential extends Module {
  readonly layers: readonly Module[];

  constructor(...layers: Module[]) {
    super();
    this.layers = layers;
  }
  forward(x: Tensor): Tensor {
    return this.layers.reduce((value, layer) => layer.forward(value), x);
  }
}
