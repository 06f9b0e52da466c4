// A network as the runtime runs it: steps of rows of taps. Numbers are f32, or in a quantised network i32 (docs/int8.md)
// less the zero of their plane, so that borders are 0 either way. All places are counts of numbers from the start of an
// arena, with pitch and taps already multiplied in. src/inference/lower.ts writes these records.
#pragma once
#include <cstdint>

namespace easting::inference {

inline constexpr std::uint32_t nowhere = 0xffffffff;

// A number of the program, by its bits.
using Bits = std::uint32_t;
template <class Number>
[[gnu::always_inline]] inline Number number(Bits bits) {  // no copy for the linker to mix up between variants
  return __builtin_bit_cast(Number, bits);
}

enum class Op : std::uint32_t { convolution, split, max_pool, average_pool };

struct Tap {
  std::uint32_t at;
  Bits weight;
};

// One plane made by a step. Of the fields after `output`, a convolution uses all, a split `residual` as its input and
// `first`, `count` as row and column of its phase, a pool `residual` as its input.
struct Row {
  std::uint32_t output, first, count;  // taps first … first + count − 1
  Bits bias;
  std::uint32_t residual;  // max(plane + offset, floor) is added; `nowhere` for none
  Bits offset, floor;
  std::uint32_t halo;                 // 1 if a reader needs zeros around the plane
  std::int32_t factor;                // of the residual, i32 only, like the following
  std::int32_t multiplier, shift, zero;  // requantisation; multiplier 0 for none
};

// Extents are in pixels; a pixel is as many numbers as a tile has images. Rows of a plane are `pitch` pixels apart, and
// what lies between two of them serves as the right border of one and the left border of the next.
struct Step {
  Op op;
  std::uint32_t first, rows;           // its rows
  std::uint32_t cost;                  // about how many vectors it loads and stores
  std::uint32_t height, width, pitch;  // of its outputs
  std::uint32_t vectors;               // of 16 numbers, from the first pixel of a plane to its last
  std::uint32_t in_height, in_width, in_pitch;
  std::uint32_t stride, kernel, padding;
  std::uint32_t left, bottom;  // border of what a split makes
  float lowest;                // f32 only: 0 with a ReLU, else −∞
};

struct Run {
  std::uint32_t at, size;
};

static_assert(sizeof(Tap) == 8 && sizeof(Row) == 48 && sizeof(Step) == 68);

}  // namespace easting::inference
