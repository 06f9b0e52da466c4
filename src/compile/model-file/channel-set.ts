import type { ModelSource } from "./source.js";
import type { StructureWriter } from "./structure.js";
import type { TapBox } from "./tap-box.js";

// Which channels of a shared tensor a step uses: a bit for each, expected to be as in the use before.

/** Channels of a tensor that have weights, and those that its latest use had. */
export interface ChannelUse {
  readonly weighted: { readonly outputs: ReadonlySet<number>; readonly inputs: ReadonlySet<number> };
  outputs: ReadonlySet<number>;
  inputs: ReadonlySet<number>;
}

interface Places {
  readonly positions: ArrayLike<number>;
  readonly inputs: number;
  readonly box: TapBox;
}

/** Before the first use. */
export function unused({ positions, inputs, box }: Places): ChannelUse {
  const pairs = Array.from(positions, (position) => Math.floor(position / (box.height * box.width)));
  const weighted = {
    outputs: new Set(pairs.map((pair) => Math.floor(pair / inputs))),
    inputs: new Set(pairs.map((pair) => pair % inputs)),
  };
  return { weighted, ...weighted };
}

/** Which of four probabilities a channel's bit has. */
const expectation = (use: ChannelUse, side: "outputs" | "inputs", channel: number): number =>
  (use.weighted[side].has(channel) ? 1 : 0) + (use[side].has(channel) ? 2 : 0);

export function encodeChannels(
  structure: StructureWriter,
  use: ChannelUse,
  side: "outputs" | "inputs",
  count: number,
  chosen: Iterable<number>,
): void {
  const set = new Set(chosen);
  for (let channel = 0; channel < count; channel++)
    structure.bit(expectation(use, side, channel), set.has(channel) ? 1 : 0);
  use[side] = set;
}

export function decodeChannels(
  source: ModelSource,
  use: ChannelUse,
  side: "outputs" | "inputs",
  count: number,
): number[] {
  source.take(count); // time, rather than memory
  const chosen: number[] = [];
  for (let channel = 0; channel < count; channel++)
    if (source.structure.bit(expectation(use, side, channel)) === 1) chosen.push(channel);
  use[side] = new Set(chosen);
  return chosen;
}
