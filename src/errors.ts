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
