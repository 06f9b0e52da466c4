// A row of a convolution: a plane and its border are one run of floats, and so is what each tap reads, only shifted.
// Sums of up to 8 vectors are held in registers while the taps go by. After SkimCaffe (Park et al., ICLR 2017).
#pragma once
#include "../../cpu/vector.h"
#include "../program.h"

namespace easting::EASTING_VARIANT {

using inference::Row;
using inference::Step;
using inference::Tap;

#if defined(__AVX512F__)
inline constexpr int tile_vectors = 12;
#elif defined(__AVX2__)
inline constexpr int tile_vectors = 4;
#else
inline constexpr int tile_vectors = 2;
#endif

inline Vector larger(Vector a, Vector b) { return a < b ? b : a; }  // NaN in a stays

template <int count>
inline void convolve_tile(const Row& row, const Tap* taps, std::int64_t from, float lowest, float* arena) {
  Vector sum[count];
  for (int v = 0; v < count; ++v) sum[v] = broadcast_value(row.bias);
  for (const Tap *tap = taps + row.first, *end = tap + row.count; tap != end; ++tap) {
    const float* p = arena + tap->at + from;
    const Vector weight = broadcast_value(tap->weight);
    for (int v = 0; v < count; ++v) sum[v] += weight * load(p + v * lanes);
  }
  if (row.residual != inference::nowhere) {
    const float* p = arena + row.residual + from;
    if (row.floor == -__builtin_inff() && row.offset == 0) {
      for (int v = 0; v < count; ++v) sum[v] += load(p + v * lanes);
    } else {
      const Vector offset = broadcast_value(row.offset), floor = broadcast_value(row.floor);
      for (int v = 0; v < count; ++v) sum[v] += larger(load(p + v * lanes) + offset, floor);
    }
  }
  const Vector least = broadcast_value(lowest);
  float* out = arena + row.output + from;
  for (int v = 0; v < count; ++v) store(out + v * lanes, larger(sum[v], least));
}

// The last vectors of a run, fewer than a tile.
template <int count>
inline void convolve_rest(int left, const Row& row, const Tap* taps, std::int64_t from, float lowest, float* arena) {
  if constexpr (count > 0) {
    if (left == count) return convolve_tile<count>(row, taps, from, lowest, arena);
    convolve_rest<count - 1>(left, row, taps, from, lowest, arena);
  }
}

// Zeros between the rows of a plane and after its last, where a run has left its marks. Down the columns, since a call of
// memset, which the compiler makes of a row, takes longer than the one or two stores.
inline void clear_border(const Step& s, std::int64_t pixel, float* plane) {
  const std::int64_t pitch = s.pitch * pixel, end = s.height * pitch;
  for (std::int64_t x = s.width * pixel; x < pitch; ++x)
    for (std::int64_t i = x; i < end; i += pitch) plane[i] = 0;
  store(plane + end, Vector{});
}

inline void convolve_row(const Step& s, const Row& row, const Tap* taps, std::int64_t pixel, float* arena) {
  std::int64_t v = 0;
  for (; v + tile_vectors <= s.vectors; v += tile_vectors)
    convolve_tile<tile_vectors>(row, taps, v * lanes, s.lowest, arena);
  convolve_rest<tile_vectors - 1>(static_cast<int>(s.vectors - v), row, taps, v * lanes, s.lowest, arena);
  if (row.halo) clear_border(s, pixel, arena + row.output);
}

}  // namespace easting::EASTING_VARIANT
