import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const description = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const library = join(root, "build", "Release", "easting.node");
const objects = join(root, "build", "cmake-release", "CMakeFiles");

function available(tool: string): boolean {
  return spawnSync(tool, ["--version"], { stdio: "ignore" }).status === 0;
}

function output(tool: string, ...args: string[]): string {
  return execFileSync(tool, args, { encoding: "utf8", maxBuffer: 1 << 30 });
}

describe("the package", () => {
  const packed = spawnSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], {
    cwd: root,
    encoding: "utf8",
    shell: process.platform === "win32",
  });
  const files: string[] = JSON.parse(packed.stdout)[0].files.map((file: { path: string }) => file.path);

  it("holds what runs and what builds it from source, and nothing else", () => {
    expect(files).toEqual(expect.arrayContaining(["CMakeLists.txt", "native/addon.cc", "scripts/build-native.cjs"]));
    const expectedPlaces = /^(dist|prebuilds|native|scripts)\/|^(CMakeLists\.txt|package\.json|LICENSE|README\.md)$/;
    expect(files.filter((file) => !expectedPlaces.test(file))).toEqual([]);
  });

  it("does nothing at installation", () => {
    // npm runs node-gyp on its own accord where it finds a binding.gyp.
    expect(files).not.toContain("binding.gyp");
    expect(description.gypfile).toBe(false);
    for (const script of ["preinstall", "install", "postinstall"])
      expect(description.scripts).not.toHaveProperty(script);
  });

  it("pins its dependencies without naming a registry", () => {
    const lock = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8"));
    const packages = Object.values<{ resolved?: string; optionalDependencies?: Record<string, string> }>(lock.packages);
    expect(packages.length).toBeGreaterThan(50);
    expect(packages.filter((entry) => entry.resolved)).toEqual([]);
    // `npm ci` refuses a lock file that lacks the packages of other platforms.
    const optional = packages.flatMap((entry) => Object.keys(entry.optionalDependencies ?? {}));
    expect(optional.filter((name) => !lock.packages[`node_modules/${name}`])).toEqual([]);
  });
});

describe("the native build", () => {
  it("says in one sentence what is missing where there is no CMake", () => {
    const script = join(root, "scripts", "build-native.cjs");
    const { status, stderr } = spawnSync(process.execPath, [script], { env: { PATH: "" }, encoding: "utf8" });
    expect(status).toBe(1);
    expect(stderr).toBe(
      "build-native: expected cmake 3.22 or newer in PATH, found none; on Debian: apt-get install cmake g++\n",
    );
  });

  it("refuses an unknown CUDA setting", () => {
    const script = join(root, "scripts", "build-native.cjs");
    const { status, stderr } = spawnSync(process.execPath, [script, "--cuda", "maybe"], { encoding: "utf8" });
    expect(status).toBe(1);
    expect(stderr).toBe("build-native: --cuda: expected auto, on, off or emulated, got maybe\n");
  });

  it.runIf(process.platform === "linux" && available("readelf"))(
    "links no CUDA library, so that it loads on machines without one",
    () => {
      const needed = [...output("readelf", "-d", library).matchAll(/Shared library: \[(.+?)\]/g)].map(
        (match) => match[1],
      );
      expect(needed.length).toBeGreaterThan(0);
      expect(needed.filter((name) => /cuda|cublas|cusparse|nvidia/i.test(name))).toEqual([]);
    },
  );

  const disassembles = process.arch === "x64" && process.platform === "linux" && available("objdump");
  it.runIf(disassembles && existsSync(objects))(
    "keeps AVX out of the inline functions that every processor runs",
    () => {
      // The linker keeps one copy of an inline function; were it the copy of an AVX variant, older processors would crash.
      const shared = new Set<string>();
      for (const folder of ["easting.dir", "kernels_baseline_f32.dir", "kernels_baseline_f64.dir"]) {
        const files = readdirSync(join(objects, folder), { recursive: true, encoding: "utf8" });
        for (const file of files.filter((name) => name.endsWith(".o"))) {
          const symbols = output("nm", "--defined-only", join(objects, folder, file));
          for (const match of symbols.matchAll(/ W (\S+)$/gm)) shared.add(match[1]);
        }
      }
      expect(shared.size).toBeGreaterThan(0);
      const functions = output("objdump", "-d", "--no-show-raw-insn", library).split(/\n\n(?=[0-9a-f]+ <)/);
      const wrong = functions
        .map((text) => ({ name: /^[0-9a-f]+ <(.+)>:/.exec(text)?.[1] ?? "", text }))
        .filter(({ name, text }) => shared.has(name) && /%[yz]mm|\tv[a-z]+\d*[a-z]* +.*%xmm/.test(text))
        .map(({ name }) => name);
      expect(wrong).toEqual([]);
    },
  );
});
