import { deflateRawSync } from "node:zlib";
import { effectiveWeights, type Graph, type Reading } from "../compile/index.js";

// What the page's runtime reads (page/runtime.js): a graph as flat arrays. Planes are numbered in the order in which they are
// made, so a row needs no number of its own.

type Numbers = Float32Array | Int32Array | Int8Array;

export interface Program {
  readonly image: Graph["image"];
  readonly classes: Graph["classes"];
  readonly steps: readonly {
    readonly op: string;
    readonly height: number;
    readonly width: number;
    readonly rows: number;
    readonly stride: number;
    readonly relu: boolean;
    readonly kernel: number;
    readonly padding: number;
  }[];
  /** Bands of biases that differ towards the border. */
  readonly layouts: readonly { readonly rows: readonly number[]; readonly columns: readonly number[] }[];
  /** Name, type and length of each array in `data`, in order. */
  readonly arrays: readonly (readonly [string, "f32" | "i32" | "i8", number])[];
  /** Base64 of the arrays one behind another, deflated. */
  readonly data: string;
}

/** The graph, its planes numbered by `pack`, for the page. */
export function programOf({ image, classes, steps }: Graph): Program {
  const layouts: Program["layouts"][number][] = [];
  const [counts, layout, biases, weights]: number[][] = [[], [], [], []];
  const [inputs, dy, dx]: number[][] = [[], [], []];
  const readings: Reading[] = [];
  const none: Reading = { plane: -1, offset: 0, floor: Number.NEGATIVE_INFINITY };
  for (const step of steps)
    for (const row of step.rows) {
      if ("input" in row) {
        readings.push(typeof row.input === "number" ? { ...none, plane: row.input } : row.input);
        counts.push(0);
        layout.push(-1);
        continue;
      }
      readings.push(row.residual ?? none);
      counts.push(row.end - row.first);
      if (step.op !== "convolution") continue;
      for (const weight of effectiveWeights(step, row)) weights.push(weight);
      for (let k = row.first; k < row.end; k++) {
        inputs.push(step.inputs[k]);
        dy.push(step.dy[k]);
        dx.push(step.dx[k]);
      }
      if (typeof row.bias === "number") {
        layout.push(-1);
        biases.push(row.bias);
      } else {
        const { rows, columns, values } = row.bias;
        layout.push(indexOf(layouts, { rows, columns }));
        biases.push(...values);
      }
    }
  const arrays: readonly (readonly [string, Numbers])[] = [
    ["counts", Int32Array.from(counts)],
    ["layout", Int32Array.from(layout)],
    ["sources", Int32Array.from(readings, ({ plane }) => plane)],
    ["offsets", Float32Array.from(readings, ({ offset }) => offset)],
    ["floors", Float32Array.from(readings, ({ floor }) => floor)],
    ["biases", Float32Array.from(biases)],
    ["inputs", Int32Array.from(inputs)],
    ["weights", Float32Array.from(weights)],
    ["dy", Int8Array.from(dy)],
    ["dx", Int8Array.from(dx)],
  ];
  const bytes = arrays.map(([, { buffer }]) => new Uint8Array(buffer));
  const type = (numbers: Numbers) =>
    numbers instanceof Float32Array ? "f32" : numbers instanceof Int32Array ? "i32" : "i8";
  return {
    image,
    classes,
    steps: steps.map((step) => ({
      op: step.op,
      height: step.height,
      width: step.width,
      rows: step.rows.length,
      stride: "stride" in step ? step.stride : 1,
      relu: step.op === "convolution" && step.relu,
      kernel: step.op === "maxPool" ? step.kernel : 1,
      padding: step.op === "maxPool" ? step.padding : 0,
    })),
    layouts,
    arrays: arrays.map(([name, numbers]) => [name, type(numbers), numbers.length]),
    data: deflateRawSync(Buffer.concat(bytes), { level: 9 }).toString("base64"),
  };
}

function indexOf(layouts: Program["layouts"][number][], layout: Program["layouts"][number]): number {
  const text = JSON.stringify(layout);
  const known = layouts.findIndex((each) => JSON.stringify(each) === text);
  return known >= 0 ? known : layouts.push(layout) - 1;
}
