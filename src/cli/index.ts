#!/usr/bin/env node
import { exitCodeOf } from "./failure.js";

process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  // The reader of a pipe has gone, as in `easting train --json | head`.
  process.exit(error.code === "EPIPE" ? 141 : 1);
});

try {
  // Loaded here, so that an addon that does not load is a sentence as well.
  const { createProgram } = await import("./program.js");
  const words = process.argv.slice(2);
  await createProgram().parseAsync(words.length > 0 ? words : ["--help"], { from: "user" });
} catch (error) {
  process.exitCode = exitCodeOf(error);
}
