// Parts of a WebAssembly module: 8 bytes, then sections of an id, a length and contents, in the order of their ids but for
// custom ones (0), which stand anywhere.

interface Section {
  readonly id: number;
  readonly content: Uint8Array;
}

const HEADER = 8;
const [CUSTOM, MEMORY, DATA] = [0, 5, 11];

/** Unsigned LEB128. */
export function leb(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    bytes.push((rest % 128) + (rest >= 128 ? 128 : 0));
    if (rest < 128) return bytes;
  }
}

function sections(module: Uint8Array): Section[] {
  const found: Section[] = [];
  for (let at = HEADER; at < module.length; ) {
    const id = module[at++];
    let length = 0;
    for (let place = 1; ; place *= 128) {
      const byte = module[at++];
      length += (byte % 128) * place;
      if (byte < 128) break;
    }
    found.push({ id, content: module.subarray(at, at + length) });
    at += length;
  }
  return found;
}

const join = (...parts: readonly (readonly number[] | Uint8Array)[]) =>
  Uint8Array.from(parts.flatMap((part) => Array.from(part)));

/**
 * The module with `pages` of memory of 64 KiB each, `data` at address `at` of it, and `text` as a custom section called
 * `name`. The module has one memory, and no data of its own.
 */
export function withData(
  module: Uint8Array,
  { pages, at, data, name, text }: { pages: number; at: number; data: Uint8Array; name: string; text: string },
): Uint8Array {
  const own = sections(module).map((section) =>
    section.id === MEMORY ? { id: MEMORY, content: join([1, 1], leb(pages), leb(pages)) } : section,
  );
  // One active segment: flags 0, the constant expression `i32.const at`, then its bytes.
  const segment = join([1, 0, 0x41], signedLeb(at), [0x0b], leb(data.length), data);
  const utf8 = new TextEncoder();
  const custom = join(leb(utf8.encode(name).length), utf8.encode(name), utf8.encode(text));
  const all = [...own, { id: DATA, content: segment }, { id: CUSTOM, content: custom }];
  return join(module.subarray(0, HEADER), ...all.map(({ id, content }) => join([id], leb(content.length), content)));
}

/** Signed LEB128 of a natural: bit 6 of its last byte is its sign. */
function signedLeb(value: number): number[] {
  const bytes = leb(value);
  if ((bytes.at(-1) as number) < 64) return bytes;
  return [...bytes.slice(0, -1), (bytes.at(-1) as number) + 128, 0];
}
