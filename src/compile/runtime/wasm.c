// The runtime of the WebAssembly target: the C runtime over columns, with functions that take a program's address.
// scripts/build-wasm-runtime.mjs compiles it, with EASTING_ARITHMETIC as "f32.h" or "int8.h".
#include <float.h>
#include <stddef.h>
#include <stdint.h>

#define EASTING_RESTRICT restrict

#include "kinds.h"
#include "reader-columns.h"

#include EASTING_ARITHMETIC

#include "decoder.h"
#include "walk.h"

/* To be called once, before the first run. */
__attribute__((export_name("load"))) void load(easting_program* program) {
  easting_decode(&program->tables, (int8_t*)program->weights);
}

__attribute__((export_name("run"))) void run(const easting_program* program) { easting_walk(program); }
