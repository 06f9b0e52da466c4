// A network as the runtime runs it: steps of rows of taps. All places are counts of floats from the start of an arena,
// with image size, row pitch and tap offset already multiplied in. src/inference/lower.ts writes these records.
#pragma once
#include <cstdint>

namespace easting::inference {

inline constexpr std::uint32_t nowhere = 0xffffffff;

enum class Op : std::uint32_t { convolution, split, max_pool, average_pool };

struct Tap {
  std::uint32_t at;
  float weight;
};

// One plane made by a step. Of the fields after `output`, a convolution uses all, a split `residual` as its input and
// `first`, `count` as row and column of its phase, a pool `residual` as its input.
struct Row {
  std::uint32_t output, first, count;  // taps first … first + count − 1
  float bias;
  std::uint32_t residual;  // max(plane + offset, floor) is added; `nowhere` for none
  float offset, floor;
  std::uint32_t halo;  // 1 if a reader needs zeros around the plane
};

// Extents are in pixels; a pixel is `lanes` floats, one per image of a tile. Rows of a plane are `pitch` pixels apart,
// and what lies between two of them serves as the right border of one and the left border of the next.
struct Step {
  Op op;
  std::uint32_t first, rows;                // its rows
  std::uint32_t cost;                       // about how many vectors it loads and stores
  std::uint32_t height, width, pitch;       // of its outputs
  std::uint32_t vectors;                    // of 16 floats, from the first pixel of a plane to its last
  std::uint32_t in_height, in_width, in_pitch;
  std::uint32_t stride, kernel, padding;
  std::uint32_t left, bottom;               // border of what a split makes
  float lowest;                             // 0 with a ReLU, else −∞
};

struct Run {
  std::uint32_t at, size;
};

static_assert(sizeof(Tap) == 8 && sizeof(Row) == 32 && sizeof(Step) == 68);

}  // namespace easting::inference
