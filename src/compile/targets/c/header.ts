import { readFileSync } from "node:fs";
import { version } from "../../../version.js";
import type { CModel } from "./model.js";
import { flashBytes, ramBytes } from "./sizes.js";
import { float, quoted, table } from "./table.js";

const source = (file: string) => readFileSync(new URL(`../../runtime/${file}`, import.meta.url), "utf8");

/** One header: declarations, and where NAME_IMPLEMENTATION is defined, tables and code. */
export function printHeader(model: CModel): string {
  const { name, image, classes, program, numbers } = model;
  const upper = name.toUpperCase();
  const own = (text: string) => text.replaceAll("EASTING_", `${upper}_`).replaceAll("easting_", `${name}_`);
  const [channels, height, width] = image.shape;
  const { buffers, arena } = program;
  const { value, weight, sum } = numbers;
  const defines = {
    CHANNELS: channels,
    HEIGHT: height,
    WIDTH: width,
    CLASSES: classes.length,
    TEST_IMAGES: numbers.wanted.length,
  };
  const rows = numbers.wanted.map(
    (logits) => `  {${Array.from(logits, sum.name === "float" ? float : String).join(", ")}},`,
  );
  return own(`/* ${name}: a network compiled by easting ${version}.
 *
 * In one C file: #define EASTING_IMPLEMENTATION before #include "${name}.h". C99, no heap, no recursion.
 * EASTING_TABLE_BYTES of constants beside the code; EASTING_RAM_BYTES of static memory and EASTING_STACK_BYTES of stack
 * where pointers have 4 bytes. One run at a time.
 */
#ifndef EASTING_H
#define EASTING_H

#include <stdint.h>

${Object.entries(defines)
  .map(([key, number]) => `#define EASTING_${key} ${number}u\n`)
  .join("")}#define EASTING_TABLE_BYTES ${flashBytes(model)}u
#define EASTING_ARENA_BYTES ${value.bytes * arena}u
#define EASTING_RAM_BYTES ${ramBytes(model)}u
#define EASTING_STACK_BYTES 768u

#ifdef __cplusplus
extern "C" {
#endif

/* The logits of one image, pixels 0 to 255 as [height][width][channels]; they last until the next run. */
const ${sum.name}* easting_run(const uint8_t* pixels);
${numbers.declarations}/* Runs images with known logits: 0, or the number of the first whose logits differ. */
int easting_self_test(void);
/* Names of the classes. */
extern const char* const easting_classes[EASTING_CLASSES];

#ifdef __cplusplus
}
#endif
#endif

#ifdef EASTING_IMPLEMENTATION
#include <float.h>
#include <stddef.h>

#ifdef __cplusplus
#define EASTING_RESTRICT
#else
#define EASTING_RESTRICT restrict
#endif

const char* const easting_classes[EASTING_CLASSES] = {
${classes.map((label) => `  ${quoted(label)},`).join("\n")}
};

${source("kinds.h")}
${source("reader-bits.h")}
${source(numbers.arithmetic)}
${source("walk.h")}
${table("uint8_t", "easting_bits_table", program.bits)}
${table(weight.name, "easting_weights", program.weights)}
${table("uint16_t", "easting_bands", program.bands.length > 0 ? program.bands : [1, 65535, 1, 65535])}
${table("uint32_t", "easting_image", program.image)}
${numbers.tables}
static const ${sum.name} easting_wanted[EASTING_TEST_IMAGES][EASTING_CLASSES] = {
${rows.join("\n")}
};

static struct {
  easting_tap taps[${buffers.taps}];
  easting_input inputs[${buffers.inputs}];
  ${sum.name} logits[EASTING_CLASSES];
  ${sum.name} sums[${buffers.sums}];
  ${sum.name} biases[${buffers.biases}];
  ${value.name} arena[${arena}];
} easting_memory;

/* Fails to compile where the memory is larger than said above. */
typedef char easting_fits[sizeof(void*) > 4 || sizeof(easting_memory) <= EASTING_RAM_BYTES ? 1 : -1];

static const easting_program easting_model = {
  {easting_bits_table, ${program.start}u}, easting_weights, easting_bands, ${numbers.numbers},
  easting_memory.arena, easting_memory.sums, easting_memory.biases, easting_memory.inputs, easting_memory.taps,
  easting_memory.logits,
};

${source(numbers.functions)}
${source("functions.h")}
#endif
`);
}
