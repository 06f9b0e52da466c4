import { accessSync, constants } from "node:fs";
import { type Browser, chromium } from "playwright-core";
import type { TestContext } from "vitest";

const program = process.env.CHROMIUM ?? "/usr/bin/chromium";

/** Real Chromium without a window; the test is skipped where there is none. */
export async function launchChromium({ skip }: TestContext): Promise<Browser> {
  try {
    accessSync(program, constants.X_OK);
  } catch {
    skip(`Chromium is not at ${program}; on Debian: apt-get install chromium`);
  }
  const quiet = ["quic", "background-networking", "component-update", "sync"].map((what) => `--disable-${what}`);
  return chromium.launch({
    executablePath: program,
    args: ["--no-sandbox", "--disable-gpu", "--no-first-run", ...quiet],
  });
}
