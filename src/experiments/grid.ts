import { z } from "zod";
import { absoluteSource, type DataSource } from "../data/index.js";
import { complaint, configSchema, type TrainConfigInput } from "../east/config.js";
import { EastingError, expected, nearest } from "../errors.js";

const dataSchema = z.strictObject({
  data: z.string({ error: "a name or a folder" }),
  validation: z.enum(["split", "none"], { error: "split or none" }),
  imageSize: z.number({ error: "a number" }).int({ error: "a whole number" }).min(1, { error: "at least 1" }),
  flip: z.boolean({ error: "true or false" }),
});
type DataKey = keyof typeof dataSchema.shape;
const schemas: Readonly<Record<string, z.ZodType>> = { ...configSchema.shape, ...dataSchema.shape };
const gridSchema = z.record(z.string(), z.unknown());

/** One run that a grid asks for. */
export interface GridPoint {
  readonly config: TrainConfigInput;
  readonly source: DataSource;
}

/**
 * The runs of a grid: an object of settings, `data`, `validation`, `imageSize` and `flip`, in which lists stand for each
 * of their values in turn (the last key changes fastest); or a list of such objects. `where` names it in errors.
 */
export function expandGrid(grid: unknown, where: string): GridPoint[] {
  const parts = Array.isArray(grid) ? grid : [grid];
  return parts.flatMap((part, i) => expandOne(part, Array.isArray(grid) ? `${where}[${i}]` : where));
}

function expandOne(grid: unknown, where: string): GridPoint[] {
  const { data, success } = gridSchema.safeParse(grid);
  if (!success) throw wrong(`${where}: expected an object of settings, got ${JSON.stringify(grid)}`);
  let points: Record<string, unknown>[] = [{}];
  for (const [key, value] of Object.entries(data)) {
    const values = Array.isArray(value) ? value : [value];
    if (values.length === 0) throw wrong(`${where}: ${key}: expected at least one value, got an empty list`);
    for (const one of values) check(key, one, where);
    points = points.flatMap((point) => values.map((one) => ({ ...point, [key]: one })));
  }
  return points.map(split);
}

function check(key: string, value: unknown, where: string): void {
  const schema = schemas[key];
  if (!schema) {
    const near = nearest(key, Object.keys(schemas));
    throw wrong(`${where}: expected known settings, got "${key}"`, near && `did you mean "${near}"?`);
  }
  const { error } = schema.safeParse(value);
  if (!error) return;
  if (key in dataSchema.shape)
    throw expected(`${where}: ${key}`, error.issues[0].message, value, undefined, "EASTING_CONFIG");
  throw complaint({ ...error.issues[0], path: [key] }, { [key]: value }, (name) => `${where}: ${name}`);
}

function split(point: Record<string, unknown>): GridPoint {
  const {
    data = "digits",
    validation = "split",
    imageSize,
    flip,
    ...config
  } = point as TrainConfigInput & {
    readonly [K in DataKey]?: z.output<typeof dataSchema>[K];
  };
  const from = absoluteSource(data);
  const source = { from, validation, ...(imageSize && { imageSize }), ...(flip === false && { flip }) };
  return { config, source };
}

const wrong = (message: string, hint?: string) => new EastingError("EASTING_CONFIG", message, hint);
