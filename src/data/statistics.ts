/** Mean and standard deviation per channel of pixel / 255, from exact integer counts: independent of summation order. */
export class ChannelStatistics {
  readonly #counts: Float64Array[];

  constructor(channels: number) {
    this.#counts = Array.from({ length: channels }, () => new Float64Array(256));
  }

  /** Adds images `[k][c][h][w]` of `plane` = h·w pixels per channel. */
  add(pixels: Uint8Array, plane: number): void {
    for (let at = 0, channel = 0; at < pixels.length; at += plane, channel = (channel + 1) % this.#counts.length) {
      const counts = this.#counts[channel];
      for (let i = at; i < at + plane; i++) counts[pixels[i]]++;
    }
  }

  result(): { mean: number[]; std: number[] } {
    const mean: number[] = [];
    const std: number[] = [];
    for (const counts of this.#counts) {
      let total = 0;
      let sum = 0;
      let squares = 0;
      counts.forEach((count, value) => {
        total += count;
        sum += count * value;
        squares += count * value * value;
      });
      const average = total === 0 ? 0 : sum / total;
      const deviation = total === 0 ? 0 : Math.sqrt(Math.max(0, squares / total - average * average));
      mean.push(average / 255);
      std.push(deviation === 0 ? 1 : deviation / 255); // a constant channel stays finite when divided
    }
    return { mean, std };
  }
}

/** Statistics of images `[k][c][h][w]` in memory; `shape` is `[c, h, w]`. */
export function measure(pixels: Uint8Array, shape: readonly [number, number, number]) {
  const statistics = new ChannelStatistics(shape[0]);
  statistics.add(pixels, shape[1] * shape[2]);
  return statistics.result();
}
