import { type Extent, extents, reads, type Wiring } from "./graph.js";

export interface MemoryPlanOptions {
  /** What a plane takes; its pixels by default. A target that pads planes or counts bytes says so here. */
  readonly size?: (extent: Extent, plane: number) => number;
  /**
   * `row`: rows run one by one, and a plane's place is free once the last row that reads it has run.
   * `step`: rows of a step may run at once, so that places are freed at the end of a step.
   * `block`: moreover the planes of a step lie side by side, in order of its rows, and are freed together.
   */
  readonly granularity?: "row" | "step" | "block";
  /** Whether the image's planes are in the arena, from before the first step; true by default. */
  readonly image?: boolean;
}

export interface MemoryPlan {
  /** Size of the arena, in units of `size`. */
  readonly size: number;
  /** Where each plane begins. */
  readonly offsets: ReadonlyMap<number, number>;
  /** The most that is in use at once: no plan can be smaller. */
  readonly lowerBound: number;
}

interface Lifetime {
  readonly plane: number;
  readonly size: number;
  /** First and last moment of use. */
  readonly from: number;
  readonly to: number;
}

/**
 * A place in one arena for every plane, so that no two planes that are in use at the same moment overlap; the logits
 * last to the end. The smaller of two plans: best fit in order of time, and lowest place in order of size.
 */
export function planMemory(graph: Wiring, options: MemoryPlanOptions = {}): MemoryPlan {
  const lifetimes = lifetimesOf(graph, options);
  if (options.granularity !== "block") return place(lifetimes);
  const blocks = place(joined(lifetimes));
  const offsets = new Map<number, number>();
  const next = new Map<number, number>();
  for (const { plane, size, from } of lifetimes) {
    const offset = next.get(from) ?? (blocks.offsets.get(plane) as number);
    offsets.set(plane, offset);
    next.set(from, offset + size);
  }
  return { ...blocks, offsets };
}

function place(lifetimes: readonly Lifetime[]): MemoryPlan {
  const lowerBound = mostInUse(lifetimes);
  const first = inOrderOfTime(lifetimes);
  if (first.size === lowerBound) return { ...first, lowerBound };
  const second = inOrderOfSize(lifetimes);
  return { ...(second.size < first.size ? second : first), lowerBound };
}

/** The planes of each step as one, called after the first: all are there from the same moment on. */
function joined(lifetimes: readonly Lifetime[]): Lifetime[] {
  const blocks = new Map<number, Lifetime>();
  for (const lifetime of lifetimes) {
    const block = blocks.get(lifetime.from) ?? { ...lifetime, size: 0 };
    const [size, to] = [block.size + lifetime.size, Math.max(block.to, lifetime.to)];
    blocks.set(lifetime.from, { ...block, size, to });
  }
  return [...blocks.values()];
}

/** The most memory in use at once, in units of `size`: what a perfect plan takes. */
export function peakMemory(graph: Wiring, options: MemoryPlanOptions = {}): number {
  const lifetimes = lifetimesOf(graph, options);
  return mostInUse(options.granularity === "block" ? joined(lifetimes) : lifetimes);
}

function lifetimesOf(graph: Wiring, options: MemoryPlanOptions): Lifetime[] {
  const { size = ({ height, width }) => height * width, granularity = "step", image = true } = options;
  const [channels] = graph.image.shape;
  const from = new Map<number, number>(image ? Array.from({ length: channels }, (_, plane) => [plane, 0]) : []);
  const to = new Map(from);
  let moment = 0;
  for (const step of graph.steps) {
    if (granularity !== "row") moment++;
    for (const row of step.rows) {
      if (granularity === "row") moment++;
      for (const plane of reads(step, row)) to.set(plane, moment);
      from.set(row.plane, moment);
      to.set(row.plane, moment);
    }
  }
  for (const { plane } of graph.steps.at(-1)?.rows ?? []) to.set(plane, moment);
  const extent = extents(graph);
  return [...from].map(([plane, start]) => ({
    plane,
    size: size(extent.get(plane) as Extent, plane),
    from: start,
    to: to.get(plane) as number,
  }));
}

function mostInUse(lifetimes: readonly Lifetime[]): number {
  const changes = new Map<number, number>();
  const change = (moment: number, by: number) => changes.set(moment, (changes.get(moment) ?? 0) + by);
  for (const { from, to, size } of lifetimes) {
    change(from, size);
    change(to + 1, -size);
  }
  let inUse = 0;
  let most = 0;
  for (const moment of [...changes.keys()].sort((a, b) => a - b)) {
    inUse += changes.get(moment) as number;
    most = Math.max(most, inUse);
  }
  return most;
}

type Placed = Omit<MemoryPlan, "lowerBound">;

/** Largest first, then longest; each at the lowest place that is free as long as it is needed. */
function inOrderOfSize(lifetimes: readonly Lifetime[]): Placed {
  const offsets = new Map<number, number>();
  const placed: (Lifetime & { readonly offset: number })[] = []; // by offset
  let size = 0;
  const order = lifetimes.toSorted((a, b) => b.size - a.size || b.to - b.from - (a.to - a.from) || a.plane - b.plane);
  for (const lifetime of order) {
    let offset = 0;
    for (const other of placed) {
      if (other.from > lifetime.to || other.to < lifetime.from) continue;
      if (other.offset - offset >= lifetime.size) break;
      offset = Math.max(offset, other.offset + other.size);
    }
    offsets.set(lifetime.plane, offset);
    const after = placed.findIndex((other) => other.offset > offset);
    placed.splice(after < 0 ? placed.length : after, 0, { ...lifetime, offset });
    size = Math.max(size, offset + lifetime.size);
  }
  return { size, offsets };
}

/** As they come, each in the smallest gap that holds it. */
function inOrderOfTime(lifetimes: readonly Lifetime[]): Placed {
  const offsets = new Map<number, number>();
  let size = 0;
  let inUse: (Lifetime & { readonly offset: number })[] = []; // by offset
  for (const lifetime of lifetimes.toSorted((a, b) => a.from - b.from || b.size - a.size || b.to - a.to)) {
    inUse = inUse.filter(({ to }) => to >= lifetime.from);
    let best = { offset: inUse.reduce((end, other) => Math.max(end, other.offset + other.size), 0), gap: Infinity };
    let end = 0;
    for (const other of inUse) {
      const gap = other.offset - end;
      if (gap >= lifetime.size && gap < best.gap) best = { offset: end, gap };
      end = other.offset + other.size;
    }
    offsets.set(lifetime.plane, best.offset);
    const after = inUse.findIndex((other) => other.offset > best.offset);
    inUse.splice(after < 0 ? inUse.length : after, 0, { ...lifetime, offset: best.offset });
    size = Math.max(size, best.offset + lifetime.size);
  }
  return { size, offsets };
}
