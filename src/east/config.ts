import { z } from "zod";
import { type EastingError, expected, nearest } from "../errors.js";
import { modelNames } from "../models/index.js";
import { convAlgorithms } from "../ops/conv-algorithm.js";
import { methods } from "../sparse/index.js";

/** Methods of the command line: every sparse method, EAST, which is RigL with the three pieces, and what DCTpS trains by. */
export const methodNames = [...Object.keys(methods), "east", "dctps+rigl", "dctps+rigl+east"] as const;

// The texts of the checks complete the sentence "expected …".
const choice = (names: readonly string[]) =>
  z.string({ error: "a name" }).refine((name) => names.includes(name), { error: `one of ${names.join(", ")}` });
const oneOf = <const N extends readonly [string, ...string[]]>(...names: N) =>
  z.enum(names, { error: `one of ${names.join(", ")}` });
const number = () => z.number({ error: "a number" });
const positive = () => number().positive({ error: "more than 0" });
const whole = (least: number) =>
  number()
    .int({ error: "a whole number" })
    .min(least, { error: `a whole number of at least ${least}` });
const share = number().min(0, { error: "a fraction from 0 to 1" }).max(1, { error: "a fraction from 0 to 1" });
const belowOne = number().min(0, { error: "from 0 to below 1" }).lt(1, { error: "from 0 to below 1" });
const percent = number()
  .min(0, { error: "a percentage of 0 or more" })
  .lt(100, { error: "a percentage below 100, as at 100 no weight is left" });
const flag = () => z.boolean({ error: "true or false" });

/** Everything a training run depends on; what is left out takes the default of the published runs. */
export const configSchema = z.strictObject({
  model: choice(modelNames).default("resnet34").describe("network"),
  method: choice(methodNames).default("east").describe("sparse method"),
  sparsity: percent.default(99).describe("percent of the prunable weights that do not exist"),
  epochs: whole(1).default(250).describe("passes over the training images"),
  batch: whole(1).default(128).describe("images per step"),
  seed: whole(0)
    .max(0xffffffff, { error: "at most 4294967295" })
    .default(1)
    .describe("of weights, topology, data order and augmentation"),

  optimizer: oneOf("sgd", "adam").optional().describe("sgd or adam; adam for DCTpS, else sgd"),
  learningRate: positive().optional().describe("at the start; 0.001 for DCTpS, else 0.1"),
  schedule: oneOf("step", "cosine", "constant")
    .optional()
    .describe(
      "learning rate over the run: step (divided by 10 at 50 % and 75 %), cosine (to 0) or constant; constant for DCTpS, else step",
    ),
  momentum: belowOne.default(0.9).describe("of SGD, with Nesterov"),
  nesterov: flag().default(true).describe("Nesterov momentum"),
  weightDecay: number()
    .min(0, { error: "0 or more" })
    .optional()
    .describe("coupled L2, on every parameter; 0.0005 for DCTpS, else 0.0001"),
  classifierBias: flag().default(false).describe("a bias in the classifier, as PyTorch's ResNets have"),
  labelSmoothing: belowOne.default(0).describe("share of the target spread over all classes"),
  clip: oneOf("off", "active", "dense")
    .optional()
    .describe("gradients whose norm is clipped: off, active (existing weights) or dense; active for EAST, else off"),
  clipNorm: positive().default(1).describe("global L2 norm that gradients are clipped to"),

  distribution: oneOf("erk", "er", "uniform", "epl", "epf")
    .optional()
    .describe("weights per tensor of a random topology: erk, er, uniform, epl or epf; uniform for MEST, else erk"),
  updateEvery: whole(1)
    .optional()
    .describe("steps between topology updates; as many updates as the published runs, but at least 100 steps apart"),
  dropFraction: share
    .optional()
    .describe("share of each tensor replaced at the first update; by the method, 0.5 for SET, RigL and EAST"),
  updateUntil: share.optional().describe("share of the run after which the topology stays; by the method, mostly 0.95"),
  growth: oneOf("gradient", "random", "bernoulli", "gse")
    .optional()
    .describe("which weights come in an exchange: gradient, random, bernoulli or gse; by the method"),
  ensureLive: flag().default(false).describe("a first topology whose every weight lies on a path from image to logit"),

  storage: oneOf("f32", "bf16")
    .default("f32")
    .describe("of activations and their gradients: f32 or bf16; arithmetic, weights and sums are f32 either way"),
  conv: oneOf(...convAlgorithms)
    .default("auto")
    .describe("how sparse convolutions are computed: auto, fused, cusparse (on a GPU) or dense"),
  liveChannels: flag().default(true).describe("compute only channels that matter to the loss; exact either way"),

  dyrelu: flag().optional().describe("DyReLU phasing; on for EAST"),
  dyreluStart: share.default(62.5 / 250).describe("share of the run where DyReLU begins to fade"),
  dyreluEnd: share.default(124 / 250).describe("share of the run where ReLU is reached"),
  dyreluBlend: oneOf("coefficients", "outputs").default("coefficients").describe("what the fading mixes"),
  dyreluReduction: whole(1).default(4).describe("channels per hidden unit of DyReLU's layers"),
  shareRatio: whole(0)
    .refine((ratio) => ratio !== 1, { error: "0 (no sharing) or a whole number of at least 2" })
    .optional()
    .describe("blocks per stage with weights of their own, the rest share; 0 for none; 2 for EAST"),
  cycles: whole(0).optional().describe("cycles of density; 2 for EAST"),
  cycleLength: share.default(50 / 250).describe("share of the run that the first cycle takes"),
  cycleMultiplier: positive().default(1).describe("growth of the cycles' length"),
  cyclePeak: number()
    .min(1, { error: "1 or more" })
    .default(3)
    .describe("density in mid-cycle as a multiple of the final one"),
  cyclePattern: oneOf("cosine", "triangular").default("cosine").describe("shape of a cycle"),
  cycleUpdateEvery: whole(1).optional().describe("steps between updates inside a cycle; at most 100"),
});

export type TrainConfigInput = z.input<typeof configSchema>;
type Parsed = z.output<typeof configSchema>;
/** A configuration with its defaults filled in; the intervals that stay open follow from the length of the run. */
export type TrainConfig = Parsed & Required<Pick<Parsed, Decided>>;
/** Settings whose default depends on the method. */
type Decided =
  | "optimizer"
  | "learningRate"
  | "schedule"
  | "weightDecay"
  | "clip"
  | "dropFraction"
  | "updateUntil"
  | "dyrelu"
  | "shareRatio"
  | "cycles";

/** Share replaced at the first update, and share of the run with updates, where they are not 0.5 and 0.95. */
const exchanges: Readonly<Record<string, readonly [number, number]>> = {
  "rigl-original": [0.3, 0.75],
  "dctps+rigl": [0.3, 0.75],
  "dctps+rigl+east": [0.3, 0.75],
  mest: [0.2, 0.95],
  dsr: [0.005, 0.95],
};

/** What a method decides unless the user does. */
function presets(method: string): Required<Pick<Parsed, Decided>> {
  const east = method.endsWith("east");
  const [dropFraction, updateUntil] = exchanges[method] ?? [0.5, 0.95];
  const common = { dropFraction, updateUntil, dyrelu: east, cycles: east ? 2 : 0 };
  if (method.startsWith("dctps")) {
    const trained = { optimizer: "adam", learningRate: 1e-3, schedule: "constant", weightDecay: 5e-4 } as const;
    return { ...common, ...trained, clip: "off", shareRatio: 0 };
  }
  const trained = { optimizer: "sgd", learningRate: 0.1, schedule: "step", weightDecay: 1e-4 } as const;
  return { ...common, ...trained, clip: east ? "active" : "off", shareRatio: east ? 2 : 0 };
}

/** Checks a configuration and fills in its defaults; the first fault is one sentence. */
export function resolveConfig(input: TrainConfigInput): TrainConfig {
  const parsed = configSchema.safeParse(input);
  if (!parsed.success) throw complaint(parsed.error.issues[0], input, (key) => `config: ${key}`);
  const given = Object.entries(parsed.data).filter(([, value]) => value !== undefined);
  return { ...presets(parsed.data.method), ...Object.fromEntries(given) } as TrainConfig;
}

/** One fault of a configuration as an error; `nameOf` turns a key into what the user wrote. */
export function complaint(issue: z.core.$ZodIssue, input: unknown, nameOf: (key: string) => string): EastingError {
  const hint = (got: unknown, known: readonly string[]) => {
    const near = typeof got === "string" && nearest(got, known);
    return near ? `did you mean ${near}?` : undefined;
  };
  if (issue.code === "unrecognized_keys") {
    const [key] = issue.keys;
    const keys = Object.keys(configSchema.shape);
    return expected("config", "known settings", `"${key}"`, hint(key, keys), "EASTING_CONFIG");
  }
  const key = String(issue.path[0]);
  const got = (input as Record<string, unknown>)[key];
  const known = key === "model" ? modelNames : key === "method" ? methodNames : [];
  return expected(nameOf(key), issue.message, got, hint(got, known), "EASTING_CONFIG");
}
