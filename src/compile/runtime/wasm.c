// The runtime of the WebAssembly target: the C runtime with one function that takes a program's address.
// scripts/build-wasm-runtime.mjs compiles it, with EASTING_ARITHMETIC as "f32.h" or "int8.h".
#include <float.h>
#include <stddef.h>
#include <stdint.h>

#define EASTING_RESTRICT restrict

#include "reader.h"

#include EASTING_ARITHMETIC

#include "walk.h"

__attribute__((export_name("run"))) void run(const easting_program* program) { easting_walk(program); }
