import { type Device, Tensor } from "../tensor/index.js";
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
    this.#walk("", (path, value) => {
      if (!(value instanceof Parameter) || seen.has(value)) return;
      seen.add(value);
      value.name = path;
      found.set(path, value);
    });
    return found;
  }

  parameters(): Parameter[] {
    return [...this.namedParameters().values()];
  }

  /** State that is not trained, by name: running statistics. */
  buffers(): Map<string, Tensor> {
    const found = new Map<string, Tensor>();
    this.#walk("", (path, value) => {
      if (value instanceof Tensor) found.set(path, value);
    });
    return found;
  }

  /** This module ("") and every module below it, by name. */
  modules(): Map<string, Module> {
    const found = new Map<string, Module>();
    this.#walk("", (path, value) => {
      if (value instanceof Module) found.set(path, value);
    });
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

  /** Moves all parameters and buffers to a device. */
  to(device: Device): this {
    for (const parameter of this.parameters()) parameter.to(device);
    for (const buffer of this.buffers().values()) buffer.moveTo(device);
    return this;
  }

  /** Frees all parameters and buffers. */
  dispose(): void {
    for (const parameter of this.parameters()) parameter.dispose();
    for (const buffer of this.buffers().values()) buffer.dispose();
  }

  /** This module, then its own parameters and buffers, then the modules below it, each with its path. */
  #walk(path: string, visit: (path: string, value: Module | Parameter | Tensor) => void): void {
    visit(path, this);
    const children: [string, Module][] = [];
    for (const [name, value] of Object.entries(this)) {
      const at = path ? `${path}.${name}` : name;
      if (value instanceof Module) children.push([at, value]);
      else if (value instanceof Parameter || value instanceof Tensor) visit(at, value);
      else if (Array.isArray(value))
        for (const [i, item] of value.entries()) if (item instanceof Module) children.push([`${at}.${i}`, item]);
    }
    for (const [at, child] of children) child.#walk(at, visit);
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
