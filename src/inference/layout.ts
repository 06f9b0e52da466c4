import {
  type Convolution,
  type Extent,
  type Graph,
  type Int8Convolution,
  type Int8Graph,
  reads,
} from "../compile/index.js";

/**
 * How planes of one extent lie in memory, in pixels. Rows are `pitch` apart, and the zeros between two of them are the
 * right border of one and the left border of the next. So a plane is one run, and a tap is the same run elsewhere.
 */
export interface Layout extends Extent {
  readonly pitch: number;
  /** Border that taps reach into. */
  readonly top: number;
  readonly left: number;
  readonly right: number;
  readonly bottom: number;
}

/** Where a tap reads: a plane as it is, or every stride-th of its pixels from a phase on, `shift` pixels further. */
export interface View {
  readonly plane: number;
  /** Row and column of the phase; null for the plane as it is. */
  readonly phase: readonly [number, number] | null;
  readonly shift: readonly [number, number];
}

/** The view that a tap reads; null where it never falls inside its plane. */
export function viewOf(step: Convolution | Int8Convolution, k: number, input: Extent): View | null {
  const { stride, height, width } = step;
  const [dy, dx] = [step.dy[k], step.dx[k]];
  if (!falls(height, stride, dy, input.height) || !falls(width, stride, dx, input.width)) return null;
  const plane = step.inputs[k];
  if (stride === 1 && input.height === height && input.width === width) return { plane, phase: null, shift: [dy, dx] };
  const [y, x] = [Math.floor(dy / stride), Math.floor(dx / stride)];
  return { plane, phase: [dy - y * stride, dx - x * stride], shift: [y, x] };
}

/** Whether any of `count` outputs reads inside. */
function falls(count: number, stride: number, shift: number, size: number): boolean {
  const first = Math.max(0, Math.ceil(-shift / stride));
  return first < count && first * stride + shift < size;
}

const keyOf = ({ height, width }: Extent) => `${height} × ${width}`;

/** The layout of every extent in the graph. */
export function layoutsOf(graph: Graph | Int8Graph, sizes: ReadonlyMap<number, Extent>): (extent: Extent) => Layout {
  const borders = new Map<string, { top: number; left: number; right: number; bottom: number; shared: boolean }>();
  for (const extent of sizes.values())
    borders.set(keyOf(extent), { top: 0, left: 0, right: 0, bottom: 0, shared: true });
  for (const step of graph.steps) {
    if (step.op !== "convolution") continue;
    const border = borders.get(keyOf(step));
    if (!border) continue;
    for (let k = 0; k < step.inputs.length; k++) {
      const input = sizes.get(step.inputs[k]) as Extent;
      const view = viewOf(step, k, input);
      if (!view) continue;
      const [y, x] = view.shift;
      border.top = Math.max(border.top, -y);
      border.left = Math.max(border.left, -x);
      border.bottom = Math.max(border.bottom, y);
      border.right = Math.max(border.right, x);
      // Where the input goes on beyond the last output, what lies to the right of a row is not zero.
      if (input.width > step.width * step.stride) border.shared = false;
    }
  }
  const layouts = new Map<string, Layout>();
  for (const extent of sizes.values()) {
    const { shared, ...border } = borders.get(keyOf(extent)) as NonNullable<ReturnType<typeof borders.get>>;
    const { left, right } = border;
    const pitch = extent.width + (shared ? Math.max(left, right) : left + right);
    layouts.set(keyOf(extent), { height: extent.height, width: extent.width, pitch, ...border });
  }
  return (extent) => layouts.get(keyOf(extent)) as Layout;
}

/** The planes around which a reader needs zeros. */
export function borderedPlanes(graph: Graph | Int8Graph): Set<number> {
  const found = new Set<number>();
  for (const step of graph.steps)
    if (step.op === "convolution")
      for (let k = 0; k < step.inputs.length; k++) if (step.dy[k] !== 0 || step.dx[k] !== 0) found.add(step.inputs[k]);
  return found;
}

/** The last step that reads each plane, by its index; the logits are read after the last. */
export function lastReads(graph: Graph | Int8Graph): Map<number, number> {
  const last = new Map<number, number>();
  graph.steps.forEach((step, i) => {
    for (const row of step.rows) for (const plane of reads(step, row)) last.set(plane, i);
  });
  for (const { plane } of graph.steps[graph.steps.length - 1].rows) last.set(plane, graph.steps.length);
  return last;
}
