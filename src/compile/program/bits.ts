import { planMemory } from "../memory-plan.js";
import { BitWriter, type Code, codeOf, riceParameter } from "./bit-writer.js";
import { type Field, type Kind, kinds } from "./kinds.js";
import type { Program } from "./program.js";

/** A program as constants that are read as they are, without any memory: see runtime/reader-bits.h. */
export interface BitProgram extends Program {
  /** Weights' positions, then steps, in the codes of bit-writer.ts. */
  readonly bits: Uint8Array;
  /** Bit at which the steps begin. */
  readonly start: number;
  /** Values that all planes take at once. */
  readonly arena: number;
  /** Where the image is to be put in the arena, channel by channel. */
  readonly image: readonly number[];
}

export function inBits(program: Program): BitProgram {
  const { graph, steps, positions } = program;
  const plan = planMemory(graph, { granularity: "row" });
  const place = (plane: number) => plan.offsets.get(plane) as number;
  const out = new BitWriter();
  const tensors = positions.map((gaps) => {
    const [at, k] = [out.at, riceParameter(gaps)];
    for (const gap of gaps) out.rice(gap, k);
    return [at, k];
  });
  const start = out.at;
  out.natural(steps.length);
  for (const { head, tensor, fields } of steps) {
    const placed = fields.flatMap((field) => withPlaces(field, place, program.zero));
    const codes = codesOf(placed);
    for (const kind of kinds) {
      const code = codes.get(kind);
      out.bits(code ? 1 : 0, 1);
      if (code) out.code(code);
    }
    for (const value of tensor === null ? head : [...head, ...tensors[tensor]]) out.natural(value);
    for (const [kind, value] of placed) out.coded(value, codes.get(kind) ?? NOTHING);
  }
  return {
    ...program,
    bits: Uint8Array.from([...out.bytes, 0, 0, 0, 0]), // read four bytes at a time
    start,
    arena: plan.size,
    image: Array.from({ length: graph.image.shape[0] }, (_, plane) => place(plane)),
  };
}

/** A code for each kind of numbers; none for one that is always 0. */
function codesOf(fields: readonly Field[]): Map<Kind, Code> {
  const values = new Map<Kind, number[]>();
  for (const [kind, value] of fields) {
    const found = values.get(kind);
    if (found) found.push(value);
    else values.set(kind, [value]);
  }
  return new Map([...values].filter(([, all]) => all.some(Boolean)).map(([kind, all]) => [kind, codeOf(all)]));
}

const NOTHING: Code = { base: 0, unit: 1, width: 0, rice: false };

/** A plane as its place and, behind it, its zero. */
function withPlaces([kind, value]: Field, place: (plane: number) => number, zero: Program["zero"]): Field[] {
  if (kind !== "input" && kind !== "output" && kind !== "source") return [[kind, value]];
  return [
    [kind, place(value)],
    [`${kind} zero`, zero(value)],
  ];
}
