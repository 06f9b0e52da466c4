import type { TrainEvent } from "../train/index.js";

/** A number that an event holds, of the whole network or of one of its `layers`. */
export interface EventValue {
  readonly key: string;
  readonly value: number;
  readonly layer: string | null;
}

/** Every number in an event, but for the places in the run that it names. */
export function valuesOf(event: TrainEvent): EventValue[] {
  const { step: _, epoch: __, layers = [], ...own } = event as Record<string, unknown>;
  const numbers = (object: object, layer: string | null) =>
    Object.entries(object).flatMap(([key, value]) => (typeof value === "number" ? [{ key, value, layer }] : []));
  return [
    ...numbers(own, null),
    ...(layers as readonly { readonly name: string }[]).flatMap((layer) => numbers(layer, layer.name)),
  ];
}
