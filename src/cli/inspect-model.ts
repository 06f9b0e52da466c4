import { closeSync, openSync, readSync, statSync } from "node:fs";
import { costOf, type Int8Row, isModel, openModel, planMemory, type Row } from "../compile/index.js";
import { fileError, readWhole } from "../train/index.js";
import { bytes, count, facts, millions, table } from "./format.js";

/** The bytes of a model file; null for anything else. */
export async function modelBytes(path: string): Promise<Uint8Array | null> {
  if (!statSync(path, { throwIfNoEntry: false })?.isFile()) return null;
  const start = new Uint8Array(16);
  try {
    const file = openSync(path, "r");
    try {
      readSync(file, start);
    } finally {
      closeSync(file);
    }
    return isModel(start) ? await readWhole(path) : null;
  } catch (error) {
    throw fileError("EASTING_MODEL_FILE", "read model", path, error);
  }
}

/** Prints what a model file holds. */
export function inspectModel(path: string, file: Uint8Array, json = false): void {
  const { graph, values, parts } = openModel(file, path);
  const { image, classes } = graph;
  const { size, lowerBound } = planMemory(graph);
  const cost = costOf(graph);
  const steps = graph.steps.map(describeStep);
  const pixel = values === "int8" ? 1 : 4;
  const plan = { bytes: pixel * size, lowerBound: pixel * lowerBound };
  if (json) {
    process.stdout.write(
      `${JSON.stringify({ model: path, bytes: file.length, values, parts, image, classes, ...cost, plan, steps })}\n`,
    );
    return;
  }
  process.stdout.write(
    `${facts([
      ["model", path],
      [
        "size",
        values === "int8"
          ? `${bytes(file.length)}: weights, biases and structure in integers ${bytes(parts.structure)}`
          : `${bytes(file.length)}: weights ${bytes(parts.weights)} (${values}), biases and scales ${bytes(parts.numbers)}, structure ${bytes(parts.structure)}`,
      ],
      ["image", `${image.shape.join(" × ")}, mean ${decimals(image.mean)}, std ${decimals(image.std)}`],
      [
        "classes",
        classes.length > 12 ? `${classes.slice(0, 10).join(", ")} … (${classes.length})` : classes.join(", "),
      ],
      ["weights", `${count(cost.weights)} at all uses, ${count(cost.channels)} channels`],
      ["MACs per image", millions(cost.macs)],
      ["memory", `${bytes(plan.bytes)} for planes in ${values === "int8" ? "bytes" : "f32"}`],
    ])}\n`,
  );
  const heading = ["step", "op", "output", "stride", "weights", "residuals", "MACs"];
  const rows = steps.map((step, i) => [
    String(i + 1),
    step.op + (step.relu ? " + ReLU" : ""),
    step.output.join("×"),
    String(step.stride),
    count(step.weights),
    count(step.residuals),
    millions(step.macs),
  ]);
  process.stdout.write(table(heading, rows, [0, 1, 2]));
}

/** f32 numbers as the shortest decimals of 7 digits. */
const decimals = (values: readonly number[]) => values.map((value) => String(Number(value.toPrecision(7)))).join(", ");

function describeStep(step: ReturnType<typeof openModel>["graph"]["steps"][number]) {
  const { op, height, width, rows } = step;
  const output = [rows.length, height, width];
  if (step.op !== "convolution")
    return { op, output, relu: false, stride: "stride" in step ? step.stride : 1, weights: 0, residuals: 0, macs: 0 };
  const rowsOf: readonly (Row | Int8Row)[] = step.rows;
  const weights = rowsOf.reduce((sum, { first, end }) => sum + end - first, 0);
  const residuals = rowsOf.filter(({ residual }) => residual).length;
  const relu = "relu" in step && step.relu;
  const { stride } = step;
  return { op, output, relu, stride, weights, residuals, macs: weights * height * width };
}
