/** Every error that easting itself raises: one sentence, a stable `code`, and what to do. */
export class EastingError extends Error {
  override readonly name = "EastingError";

  constructor(
    readonly code: string,
    message: string,
    readonly hint?: string,
  ) {
    super(hint ? `${message}; ${hint}` : message);
  }
}

/** The one form of a complaint about an input: `where: expected …, got …; what to do`. */
export function expected(
  where: string,
  wanted: string,
  got: unknown,
  hint?: string,
  code = "EASTING_INVALID",
): EastingError {
  return new EastingError(code, `${where}: expected ${wanted}, got ${got}`, hint);
}

/** The known name that `word` is probably a misspelling of, if any. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const plain = (name: string) => name.toLowerCase().replace(/[-_ ]/g, "");
  const close = known
    .map((name) => ({ name, edits: edits(plain(word), plain(name)) }))
    .filter(({ name, edits }) => edits <= Math.max(1, Math.floor(name.length / 2.5)))
    .sort((a, b) => a.edits - b.edits);
  return close[0]?.name;
}

/** Number of single-letter edits that turn `a` into `b` (Levenshtein, 1966). */
function edits(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++)
      next.push(Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)));
    row = next;
  }
  return row[b.length];
}
