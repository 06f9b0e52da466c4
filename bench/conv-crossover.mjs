// Which way through a sparse 3×3 convolution is the fastest at which density, from the rows of the kernel benchmark.

/** @typedef {{ kernel: string, size: string, density: number | null, ms: number }} Row */
/** @typedef {{ density: number, fused: number, cusparse: number | null, dense: number | null }} Times ms, forward and backward */
/** @typedef {{ layer: string, times: Times[], crossover: { cusparse: number | null, dense: number | null } }} Layer */

/**
 * Milliseconds of forward and backward together, by layer and density. `crossover` is the density above which the other
 * way takes less time than the fused kernels; null where it never does.
 * @param {readonly Row[]} rows @returns {Layer[]}
 */
export function convolutions(rows) {
  const ms = (/** @type {string} */ kernel, /** @type {string} */ size) =>
    rows.find((row) => row.kernel === kernel && row.size === size)?.ms ?? null;
  const sum = (/** @type {(number | null)[]} */ list) =>
    list.reduce((total, part) => (total === null || part === null ? null : total + part), 0);
  const names = [...new Set(rows.flatMap(({ size }) => /^(\S+ 3x3) density/.exec(size)?.[1] ?? []))];
  return names.flatMap((layer) => {
    const densities = [
      ...new Set(rows.filter(({ size }) => size.startsWith(`${layer} density`)).map((r) => r.density)),
    ];
    const dense = sum(["forward", "backward_data", "backward_weight"].map((part) => ms(`dense_conv_${part}`, layer)));
    const times = densities.flatMap((density) => {
      const by = (/** @type {string} */ way) =>
        sum(["forward", "backward"].map((part) => ms(`${way}_conv_${part}`, `${layer} density ${density}`)));
      const fused = by("sparse");
      return density === null || fused === null ? [] : [{ density, fused, cusparse: by("cusparse"), dense }];
    });
    if (times.length === 0) return [];
    times.sort((a, b) => a.density - b.density);
    return [{ layer, times, crossover: { cusparse: crossover(times, "cusparse"), dense: crossover(times, "dense") } }];
  });
}

/** Between two densities the logarithm of the ratio is taken for a straight line. @param {Times[]} times @param {"cusparse" | "dense"} way */
function crossover(times, way) {
  const points = times.flatMap(({ density, fused, [way]: other }) =>
    other === null ? [] : [{ at: Math.log(density), ahead: Math.log(fused / other) }],
  );
  const first = points.findIndex(({ ahead }) => ahead > 0);
  if (first < 0) return null;
  if (first === 0) return Math.exp(points[0].at);
  const [a, b] = [points[first - 1], points[first]];
  return Math.exp(a.at + ((b.at - a.at) * a.ahead) / (a.ahead - b.ahead));
}

/** Lines of cells, the first of them the heads. @param {readonly Layer[]} layers */
export function convolutionTable(layers) {
  const number = (/** @type {number | null} */ value) => (value === null ? "" : String(Number(value.toPrecision(3))));
  const above = (/** @type {number | null} */ density) => (density === null ? "never" : `above ${number(density)}`);
  return [
    ["layer", "density", "fused ms", "cuSPARSE ms", "dense ms", "cuSPARSE faster", "dense faster"],
    ...layers.flatMap(({ layer, times, crossover: { cusparse, dense } }) =>
      times.map((row, i) => [
        i === 0 ? layer : "",
        String(row.density),
        ...[row.fused, row.cusparse, row.dense].map(number),
        i === 0 && row.cusparse !== null ? above(cusparse) : "",
        i === 0 && row.dense !== null ? above(dense) : "",
      ]),
    ),
  ];
}
