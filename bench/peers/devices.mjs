// What meets what on the CPU and on a GPU, and how a row of the table tells of it.

/**
 * @typedef {object} Form PyTorch's way through a step.
 * @property {string} name @property {"fp32" | "tf32" | "bf16"} precision @property {"channels_last" | "contiguous"} layout
 * @property {boolean} [graph] the step replayed as a CUDA graph
 */
/** @typedef {{ ms: number, minMs: number, maxMs: number, cpuMs: number, rssMb: number, deviceMb: number }} Summary */
/** @typedef {Record<string, any>} Row */

export const number = (/** @type {number | undefined} */ value) =>
  value === undefined ? "" : value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0);

export const cpu = {
  /** The rows that the project promises. */
  rows: [
    "resnet34:99:rigl",
    "resnet34:99.9:rigl",
    "resnet34:99.95:rigl",
    "resnet34:99.9:east",
    "resnet34:99.95:east",
    "resnet34:99.99:east",
    "resnet34:99.9:east-dyrelu",
    "resnet50:99.9:rigl",
    "resnet34:99.9:growth-step",
  ],
  /** The faster of the fp32 ones is "the best fp32". @type {Form[]} */
  forms: [
    { name: "fp32 channels_last", precision: "fp32", layout: "channels_last" },
    { name: "fp32 contiguous", precision: "fp32", layout: "contiguous" },
    { name: "bf16 channels_last", precision: "bf16", layout: "channels_last" },
  ],
  /** Steps of one command. */
  repeat: 1,
  /** Before a command, so that the threads of the one before are asleep. */
  pauseMs: 50,

  /** @param {Summary} easting @param {Summary[]} theirs */
  compare(easting, [channelsLast, contiguous, bf16]) {
    const fp32 = channelsLast.ms <= contiguous.ms ? channelsLast : contiguous;
    return {
      torchFp32Ms: fp32.ms,
      torchBf16Ms: bf16.ms,
      ratioFp32: fp32.ms / easting.ms,
      ratioBf16: bf16.ms / easting.ms,
      rssMb: easting.rssMb,
      torchRssMb: fp32.rssMb,
      torchFp32Layout: fp32 === channelsLast ? "channels_last" : "contiguous",
      torchFp32ChannelsLastMs: channelsLast.ms,
      torchFp32ContiguousMs: contiguous.ms,
      torchFp32MinMs: fp32.minMs,
      torchFp32MaxMs: fp32.maxMs,
      torchFp32CpuMs: fp32.cpuMs,
      torchBf16CpuMs: bf16.cpuMs,
      torchBf16RssMb: bf16.rssMb,
    };
  },
  columns: /** @type {[string, (row: Row) => string][]} */ ([
    ["easting ms", (row) => number(row.eastingMs)],
    ["(cpu)", (row) => number(row.eastingCpuMs)],
    ["fp32 ms", (row) => number(row.torchFp32Ms)],
    ["(cpu)", (row) => number(row.torchFp32CpuMs)],
    ["bf16 ms", (row) => number(row.torchBf16Ms)],
    ["(cpu)", (row) => number(row.torchBf16CpuMs)],
    ["× fp32", (row) => number(row.ratioFp32)],
    ["× bf16", (row) => number(row.ratioBf16)],
    ["MB", (row) => number(row.rssMb)],
    ["torch MB", (row) => number(row.torchRssMb)],
  ]),
};

export const cuda = {
  rows: ["resnet34:99.95:rigl", "resnet34:99.9:rigl", "resnet34:99.95:east", "resnet50:99.9:rigl"],
  /** @type {Form[]} */
  forms: [
    { name: "eager TF32", precision: "tf32", layout: "channels_last" },
    { name: "eager AMP", precision: "bf16", layout: "channels_last" },
    { name: "AMP in a CUDA graph", precision: "bf16", layout: "channels_last", graph: true },
  ],
  // One after the other: a GPU that rests lowers its clock.
  repeat: 40,
  pauseMs: 0,

  /** Without PyTorch the times of easting alone. @param {Summary} easting @param {Summary[]} theirs */
  compare(easting, [tf32, amp, graph]) {
    const ratio = (/** @type {Summary | undefined} */ other) => other && other.ms / easting.ms;
    return {
      torchTf32Ms: tf32?.ms,
      torchAmpMs: amp?.ms,
      torchGraphMs: graph?.ms,
      ratioTf32: ratio(tf32),
      ratioAmp: ratio(amp),
      ratioGraph: ratio(graph),
      deviceMb: easting.deviceMb,
      torchDeviceMb: graph?.deviceMb,
      torchTf32DeviceMb: tf32?.deviceMb,
      rssMb: easting.rssMb,
    };
  },
  columns: /** @type {[string, (row: Row) => string][]} */ ([
    ["easting ms", (row) => number(row.eastingMs)],
    ["TF32 ms", (row) => number(row.torchTf32Ms)],
    ["AMP ms", (row) => number(row.torchAmpMs)],
    ["graph ms", (row) => number(row.torchGraphMs)],
    ["× TF32", (row) => number(row.ratioTf32)],
    ["× AMP", (row) => number(row.ratioAmp)],
    ["× graph", (row) => number(row.ratioGraph)],
    ["GPU MB", (row) => number(row.deviceMb)],
    ["graph MB", (row) => number(row.torchDeviceMb)],
  ]),
};
