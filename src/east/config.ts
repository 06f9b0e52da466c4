import { z } from "zod";
import { EastingError } from "../errors.js";
import { modelNames } from "../models/index.js";
import { methods } from "../sparse/index.js";

/** Methods of the command line: every sparse method, and EAST, which is RigL with the three pieces switched on. */
export const methodNames = [...Object.keys(methods), "east"] as const;

const choice = (names: readonly string[]) =>
  z.string().refine((name) => names.includes(name), { error: ({ input }) => `one of ${names.join(", ")}, got ${input}` });
const whole = (least: number) => z.number().int().min(least);
const share = z.number().min(0).max(1);

/** Everything a training run depends on; what is left out takes the default of the published runs. */
export const configSchema = z.strictObject({
  model: choice(modelNames).default("resnet34").describe("network"),
  method: choice(methodNames).default("east").describe("sparse method"),
  sparsity: z.number().min(0).lt(100).default(99).describe("percent of the prunable weights that do not exist"),
  epochs: whole(1).default(250).describe("passes over the training images"),
  batch: whole(1).default(128).describe("images per step"),
  seed: whole(0).max(0xffffffff).default(1).describe("of weights, topology, data order and augmentation"),

  optimizer: z.enum(["sgd", "adam"]).default("sgd").describe("sgd or adam"),
  learningRate: z.number().positive().default(0.1).describe("divided by 10 at 50 % and at 75 % of the run"),
  momentum: z.number().min(0).lt(1).default(0.9).describe("of SGD, with Nesterov"),
  nesterov: z.boolean().default(true).describe("Nesterov momentum"),
  weightDecay: z.number().min(0).default(1e-4).describe("coupled L2, on every parameter"),
  labelSmoothing: z.number().min(0).lt(1).default(0).describe("share of the target spread over all classes"),
  clip: z
    .enum(["off", "active", "dense"])
    .optional()
    .describe("gradients whose norm is clipped: off, active (existing weights) or dense; active for EAST, else off"),
  clipNorm: z.number().positive().default(1).describe("global L2 norm that gradients are clipped to"),

  updateEvery: whole(1).optional().describe("steps between topology updates; as many updates as the published runs"),
  dropFraction: share.default(0.5).describe("share of each tensor replaced at the first update, falling to 0.005"),
  updateUntil: share.default(0.95).describe("share of the run after which the topology stays"),

  dyrelu: z.boolean().optional().describe("DyReLU phasing; on for EAST"),
  dyreluStart: share.default(62.5 / 250).describe("share of the run where DyReLU begins to fade"),
  dyreluEnd: share.default(124 / 250).describe("share of the run where ReLU is reached"),
  dyreluBlend: z.enum(["coefficients", "outputs"]).default("coefficients").describe("what the fading mixes"),
  dyreluReduction: whole(1).default(4).describe("channels per hidden unit of DyReLU's layers"),
  shareRatio: z
    .number()
    .int()
    .refine((ratio) => ratio === 0 || ratio >= 2, { error: "0 (no sharing) or at least 2" })
    .optional()
    .describe("blocks per stage with weights of their own, the rest share; 0 for none; 2 for EAST"),
  cycles: whole(0).optional().describe("cycles of density; 2 for EAST"),
  cycleLength: share.default(50 / 250).describe("share of the run that the first cycle takes"),
  cycleMultiplier: z.number().positive().default(1).describe("growth of the cycles' length"),
  cyclePeak: z.number().min(1).default(3).describe("density in mid-cycle as a multiple of the final one"),
  cyclePattern: z.enum(["cosine", "triangular"]).default("cosine").describe("shape of a cycle"),
  cycleUpdateEvery: whole(1).optional().describe("steps between updates inside a cycle; at most 100"),
});

export type TrainConfigInput = z.input<typeof configSchema>;
type Parsed = z.output<typeof configSchema>;
/** A configuration with its defaults filled in; the intervals that stay open follow from the length of the run. */
export type TrainConfig = Parsed & Required<Pick<Parsed, "clip" | "dyrelu" | "shareRatio" | "cycles">>;

/** Checks a configuration and fills in its defaults; the first fault is one sentence. */
export function resolveConfig(input: TrainConfigInput): TrainConfig {
  const parsed = configSchema.safeParse(input);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new EastingError("EASTING_CONFIG", `config: ${issue.path.join(".")} must be valid (${issue.message})`);
  }
  const config = parsed.data;
  const east = config.method === "east";
  const { clip = east ? "active" : "off", dyrelu = east, shareRatio = east ? 2 : 0, cycles = east ? 2 : 0 } = config;
  return { ...config, clip, dyrelu, shareRatio, cycles };
}
