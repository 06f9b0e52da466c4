import { EastingError } from "../errors.js";

const block = 512;

/** Text of a header field up to its first NUL. */
function text(header: Buffer, from: number, length: number): string {
  const field = header.subarray(from, from + length);
  const end = field.indexOf(0);
  return field.toString("latin1", 0, end < 0 ? length : end);
}

function damaged(why: string): EastingError {
  return new EastingError("EASTING_DATA_DAMAGED", `tar: expected a whole archive, got ${why}`);
}

/** Takes exactly so many bytes at a time from a stream of chunks. */
class ByteStream {
  readonly #chunks: AsyncIterator<Buffer>;
  #held: Buffer = Buffer.alloc(0);

  constructor(chunks: AsyncIterable<Buffer>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** The next `length` bytes, or null where the stream ends before the first of them. */
  async take(length: number): Promise<Buffer | null> {
    const parts = [this.#held];
    let available = this.#held.length;
    while (available < length) {
      const { value, done } = await this.#chunks.next();
      if (done) {
        if (available === 0) return null;
        throw damaged("an end in the middle of a file");
      }
      parts.push(value);
      available += value.length;
    }
    const all = parts.length === 1 ? this.#held : Buffer.concat(parts);
    this.#held = all.subarray(length);
    return all.subarray(0, length);
  }
}

/**
 * Yields the plain files of a ustar stream whose name `wanted` accepts, each as a whole of at most `limit` bytes.
 * Names are only reported, never used as paths.
 */
export async function* readTar(
  chunks: AsyncIterable<Buffer>,
  wanted: (name: string) => boolean,
  limit = 2 ** 29,
): AsyncGenerator<{ name: string; body: Buffer }> {
  const stream = new ByteStream(chunks);
  for (;;) {
    const header = await stream.take(block);
    if (!header || header.every((byte) => byte === 0)) return;
    let sum = 0;
    for (let i = 0; i < block; i++) sum += i >= 148 && i < 156 ? 32 : header[i]; // its own checksum counts as spaces
    if (sum !== Number.parseInt(text(header, 148, 8), 8)) throw damaged("a header with a wrong checksum");
    const name = text(header, 0, 100);
    const size = Number.parseInt(text(header, 124, 12), 8) || 0;
    const isFile = header[156] === 0 || header[156] === 48;
    const padded = Math.ceil(size / block) * block;
    if (isFile && wanted(name)) {
      if (size > limit) throw damaged(`a file of ${size} bytes where at most ${limit} are allowed`);
      const body = padded === 0 ? Buffer.alloc(0) : await stream.take(padded);
      if (!body) throw damaged("an end in the middle of a file");
      yield { name, body: body.subarray(0, size) };
    } else {
      for (let left = padded; left > 0; left -= Math.min(left, 2 ** 20)) {
        if (!(await stream.take(Math.min(left, 2 ** 20)))) throw damaged("an end in the middle of a file");
      }
    }
  }
}
