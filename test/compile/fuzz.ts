import { hash32 } from "../numbers.js";

export interface Reader {
  readonly name: string;
  /** Whole files to begin with. */
  readonly seeds: readonly Uint8Array[];
  /** Sets right what guards a file as a whole, lengths and checksums, so that what they guard is reached. */
  seal(file: Uint8Array): Uint8Array;
  /** Reads it; null for a file that was read, else the message of the reader's own error. Anything else is thrown. */
  read(file: Uint8Array): string | null | Promise<string | null>;
}

/** What came of a run: how many files were read and refused, and one file for each kind of outcome. */
export interface Findings {
  readonly runs: number;
  readonly read: number;
  readonly kinds: ReadonlyMap<string, Uint8Array>;
}

/**
 * Gives a reader mutated files, until `done`. Without coverage to guide it, it takes an outcome that it has not seen before, by
 * message, for new ground, and goes on from there too. Throws what the reader throws, with the file.
 */
export async function fuzz(reader: Reader, seed: number, done: (runs: number) => boolean): Promise<Findings> {
  let state = hash32(seed + 1);
  const below = (bound: number) => {
    state = hash32(state + 0x9e3779b9);
    return Math.floor((state / 0x100000000) * bound);
  };
  const pool = [...reader.seeds];
  const kinds = new Map<string, Uint8Array>();
  let [runs, read] = [0, 0];
  for (; !done(runs); runs++) {
    let file = pool[below(pool.length)];
    for (let i = below(4); i >= 0; i--) file = mutations[below(mutations.length)](file, below, pool);
    if (below(16) > 0) file = reader.seal(file);
    const outcome = await outcomeOf(reader, file);
    if (outcome === null) read++;
    const kind = kindOf(outcome ?? "read");
    if (kinds.has(kind)) continue;
    kinds.set(kind, file);
    pool.push(file);
  }
  return { runs, read, kinds };
}

/** The message without numbers and without what it quotes of the file. */
const kindOf = (message: string) =>
  message
    .replace(/"(?:[^"\\]|\\.)*("|$)/g, '"')
    .replace(/(in JSON|got [[{]).*/s, "$1")
    .replace(/-?\d[\d.e+-]*/g, "#");

async function outcomeOf(reader: Reader, file: Uint8Array): Promise<string | null> {
  try {
    return await reader.read(file);
  } catch (error) {
    throw new Error(`${reader.name}: ${error}; the file in base64: ${Buffer.from(file).toString("base64")}`, {
      cause: error,
    });
  }
}

type Below = (bound: number) => number;
type Mutation = (file: Uint8Array, below: Below, pool: readonly Uint8Array[]) => Uint8Array;

const edges = [0, 1, 2, 3, 4, 7, 8, 15, 16, 31, 32, 63, 64, 127, 128, 255];
const large = [0, 1, 0x7f, 0x80, 0xff, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff, 0x7fc00000, 0x7f800000];

const mutations: readonly Mutation[] = [
  (file, below) => set(file, below(file.length), (byte) => byte ^ (1 << below(8))),
  (file, below) => set(file, below(file.length), () => below(256)),
  (file, below) => set(file, below(file.length), () => edges[below(edges.length)]),
  (file, below) => set(file, below(file.length), (byte) => byte + below(3) - 1),
  (file, below) => {
    const copy = file.slice();
    if (file.length >= 4)
      new DataView(copy.buffer).setUint32(below(file.length - 3), large[below(large.length)], below(2) === 0);
    return copy;
  },
  (file, below) => {
    const at = below(file.length + 1);
    const bytes = Uint8Array.from({ length: 1 + below(8) }, () => below(256));
    return join(file.subarray(0, at), bytes, file.subarray(at));
  },
  (file, below) => {
    const at = below(file.length);
    return join(file.subarray(0, at), file.subarray(at + 1 + below(8)));
  },
  (file, below) => {
    const at = below(file.length);
    const piece = file.subarray(at, at + 1 + below(32));
    return join(file.subarray(0, at), piece, file.subarray(at));
  },
  (file, below) => file.slice(0, below(file.length)),
  (file, below, pool) => {
    const other = pool[below(pool.length)];
    return join(file.subarray(0, below(file.length)), other.subarray(below(other.length)));
  },
];

function set(file: Uint8Array, at: number, change: (byte: number) => number): Uint8Array {
  const copy = file.slice();
  if (at < copy.length) copy[at] = change(copy[at]);
  return copy;
}

const join = (...parts: readonly Uint8Array[]) => Uint8Array.from(Buffer.concat(parts));
