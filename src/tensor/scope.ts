/** What a scope frees when it ends. */
interface Scoped {
  readonly kept: boolean;
  dispose(): void;
}

let current: Scoped[] | null = null;

/** Called by every new tensor; false when no scope is open. */
export function register(tensor: Scoped): boolean {
  current?.push(tensor);
  return current !== null;
}

function collect(value: unknown, found: Set<unknown>): void {
  if (value === null || typeof value !== "object") return;
  if ("dispose" in value) {
    found.add(value);
    if ("channels" in value) collect(value.channels, found);
  }
  if (Array.isArray(value)) for (const item of value) collect(item, found);
  else if (Object.getPrototypeOf(value) === Object.prototype)
    for (const item of Object.values(value)) collect(item, found);
}

/**
 * Runs `f` and frees every tensor made inside it, except those it returns (a tensor, or an array or record of them) and
 * those marked with `keep()`. A training step is one scope. `f` must not be asynchronous.
 */
export function scope<R>(f: () => R): R {
  const outer = current;
  const inner: Scoped[] = [];
  current = inner;
  const escaped = new Set<unknown>();
  try {
    const result = f();
    collect(result, escaped);
    return result;
  } finally {
    current = outer;
    for (const tensor of inner) {
      if (tensor.kept) continue;
      if (escaped.has(tensor)) outer?.push(tensor);
      else tensor.dispose();
    }
  }
}
