import { CommanderError } from "commander";
import pc from "picocolors";
import { EastingError } from "../errors.js";

/** Interrupted, and what was done so far is saved (EX_TEMPFAIL of sysexits.h). */
export const INTERRUPTED = 75;

const usageCodes = new Set(["EASTING_CONFIG", "EASTING_UNKNOWN_MODEL", "EASTING_USAGE"]);
const { red, yellow } = pc.createColors(Boolean(process.stderr.isTTY) && pc.isColorSupported);

/** A command line that makes no sense. */
export const usageError = (message: string, hint?: string) => new EastingError("EASTING_USAGE", message, hint);

/** Says what went wrong, in one line if it is the user's to mend, and returns the exit code: 2 for usage, else 1. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2; // it has said it already
  const { code } = (error ?? {}) as { code?: unknown };
  if (error instanceof EastingError || (error instanceof Error && String(code).startsWith("EASTING_"))) {
    process.stderr.write(`${red("error:")} ${error.message}\n`);
    return usageCodes.has(code as string) ? 2 : 1;
  }
  process.stderr.write(`${red("error:")} unexpected: ${error instanceof Error ? error.stack : String(error)}\n`);
  return 1;
}

export function warn(message: string): void {
  process.stderr.write(`${yellow("warning:")} ${message}\n`);
}
