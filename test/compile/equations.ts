import type { Bias, Convolution, Graph, Reading, Row, Step } from "../../src/compile/index.js";

// Graphs as equations, a line for each step: "p1 = relu(3 + p0 + 2 p0[0,1]); p2 = max(p0 + 1, 0)". A row is its bias, its
// residual (a plane, or the max of one and a floor) and its weights, in that order; [dy,dx] where a tap is not in the middle,
// "3 × 2 p0" where the row has scale 3. A pool is "p2 = maxPool(p1)" of 1 × 1 windows, or "p2 = averagePool(p1)".

/** A graph over an image of one channel, all of whose planes are as large, and 1 × 1 from the first average on. */
export function graphOf(
  lines: readonly string[],
  { height = 1, width = 1, tensors = [] as readonly number[] } = {},
): Graph {
  let size = { height, width };
  const steps = lines.map((line, i): Step => {
    const [, op] = /= (maxPool|averagePool)\(/.exec(line) ?? [];
    const equations = line.split("; ").map((text, channel) => ({ ...parsed(text), channel }));
    const pools = equations.map(({ plane, channel, residual }) => ({ plane, channel, input: residual as Reading }));
    if (op === "maxPool") {
      const rows = pools.map((row) => ({ ...row, input: row.input.plane }));
      return { op, ...size, kernel: 1, stride: 1, padding: 0, rows };
    }
    if (op === "averagePool") {
      size = { height: 1, width: 1 };
      return { op, height: 1, width: 1, rows: pools };
    }
    return convolution(equations, { ...size, relu: line.includes("relu"), tensor: tensors[i] ?? null });
  });
  const classes = steps[steps.length - 1].rows.map((_, i) => String(i));
  return { image: { shape: [1, height, width], mean: [0], std: [1] }, classes, steps };
}

interface Tap {
  readonly weight: number;
  readonly plane: number;
  readonly dy: number;
  readonly dx: number;
}

interface Equation {
  readonly plane: number;
  readonly bias: number;
  readonly scale: number;
  readonly residual: Reading | null;
  readonly taps: readonly Tap[];
}

function parsed(text: string): Equation {
  const [left, right] = text.split(" = ");
  const plane = Number(left.slice(1));
  let [bias, scale, residual] = [0, 1, null as Reading | null];
  const taps: Tap[] = [];
  const number = "(-?[\\d.]+)";
  const forms = [
    `max\\(p(\\d+)(?: \\+ ${number})?, ${number}\\)`,
    `(?:${number} × )?${number} p(\\d+)(?:\\[(-?\\d),(-?\\d)\\])?`,
    `p(\\d+)`,
    number,
  ];
  for (const [, from, offset, floor, factor, weight, input, dy, dx, whole, constant] of right.matchAll(
    new RegExp(forms.join("|"), "g"),
  )) {
    if (from) residual = { plane: Number(from), offset: Number(offset ?? 0), floor: Number(floor) };
    if (whole) residual = { plane: Number(whole), offset: 0, floor: Number.NEGATIVE_INFINITY };
    if (input) taps.push({ weight: Number(weight), plane: Number(input), dy: Number(dy ?? 0), dx: Number(dx ?? 0) });
    if (factor) scale = Number(factor);
    if (constant) bias = Number(constant);
  }
  return { plane, bias, scale, residual, taps };
}

type Channel = Equation & { readonly channel: number };

function convolution(
  equations: readonly Channel[],
  step: Pick<Convolution, "height" | "width" | "relu" | "tensor">,
): Convolution {
  const taps = equations.flatMap((equation) => equation.taps);
  let first = 0;
  const rows = equations.map(({ taps, ...row }): Row => {
    const from = first;
    first += taps.length;
    return { ...row, first: from, end: first };
  });
  return {
    ...{ op: "convolution", ...step, stride: 1, rows },
    inputs: Int32Array.from(taps, ({ plane }) => plane),
    dy: Int8Array.from(taps, ({ dy }) => dy),
    dx: Int8Array.from(taps, ({ dx }) => dx),
    weights: Float32Array.from(taps, ({ weight }) => weight),
  };
}

/** The graph's equations; a bias that differs towards the border is written by its bands. */
export const equationsOf = ({ steps }: Graph): string[] =>
  steps.map((step) =>
    step.rows
      .map((row) => {
        if (step.op === "convolution") return `p${row.plane} = ${equation(step, row as Row)}`;
        const { input } = row as { readonly input: number | Reading };
        return `p${row.plane} = ${step.op}(${typeof input === "number" ? `p${input}` : reading(input)})`;
      })
      .join("; "),
  );

function equation(step: Convolution, { bias, residual, scale, first, end }: Row): string {
  const taps = Array.from({ length: end - first }, (_, i) => {
    const k = first + i;
    const at = step.dy[k] === 0 && step.dx[k] === 0 ? "" : `[${step.dy[k]},${step.dx[k]}]`;
    return `${scale === 1 ? "" : `${scale} × `}${step.weights[k]} p${step.inputs[k]}${at}`;
  });
  const others = [...(residual ? [reading(residual)] : []), ...taps];
  const sum = [...(bias === 0 && others.length > 0 ? [] : [biasText(bias)]), ...others].join(" + ");
  return step.relu ? `relu(${sum})` : sum;
}

const biasText = (bias: Bias) =>
  typeof bias === "number" ? String(bias) : `bands(rows to ${bias.rows}, columns to ${bias.columns}: ${bias.values})`;

function reading({ plane, offset, floor }: Reading): string {
  const sum = offset === 0 ? `p${plane}` : `p${plane} + ${offset}`;
  return floor === Number.NEGATIVE_INFINITY ? sum : `max(${sum}, ${floor})`;
}
