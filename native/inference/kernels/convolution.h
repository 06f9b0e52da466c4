// A row of a convolution: a plane and its border are one run of numbers, and so is what each tap reads, only shifted.
// Sums of several vectors are held in registers while the taps go by. After SkimCaffe (Park et al., ICLR 2017).
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

typedef std::int32_t IntegerVector __attribute__((vector_size(64), aligned(4), may_alias));
template <class Number>
struct Wide;
template <>
struct Wide<float> {
  using Type = Vector;
};
template <>
struct Wide<std::int32_t> {
  using Type = IntegerVector;
};

template <class Number>
inline typename Wide<Number>::Type& at(Number* p) {
  return *reinterpret_cast<typename Wide<Number>::Type*>(p);
}
template <class V>
inline V larger(V a, V b) {
  return a < b ? b : a;  // NaN in a stays
}

template <class Number, int count>
inline void convolve_tile(const Row& row, const Tap* taps, std::int64_t from, float lowest, Number* arena) {
  using V = typename Wide<Number>::Type;
  using inference::number;
  V sum[count];
  for (int v = 0; v < count; ++v) sum[v] = number<Number>(row.bias) - V{};  // of −0 as well
  for (const Tap *tap = taps + row.first, *end = tap + row.count; tap != end; ++tap) {
    Number* p = arena + tap->at + from;
    const V weight = number<Number>(tap->weight) - V{};
    for (int v = 0; v < count; ++v) sum[v] += weight * at(p + v * lanes);
  }
  if (row.residual != inference::nowhere) {
    Number* p = arena + row.residual + from;
    const Number offset = number<Number>(row.offset), floor = number<Number>(row.floor);
    if constexpr (__is_same(Number, float)) {
      if (offset == 0 && floor == -__builtin_inff())
        for (int v = 0; v < count; ++v) sum[v] += at(p + v * lanes);
      else
        for (int v = 0; v < count; ++v) sum[v] += larger(at(p + v * lanes) + offset, floor - V{});
    } else {
      for (int v = 0; v < count; ++v) sum[v] += larger(row.factor * at(p + v * lanes) + offset, floor - V{});
    }
  }
  Number* out = arena + row.output + from;
  if constexpr (__is_same(Number, float)) {
    for (int v = 0; v < count; ++v) at(out + v * lanes) = larger(sum[v], lowest - V{});
  } else {
    const std::int32_t half = row.shift > 0 ? 1 << (row.shift - 1) : 0;
    for (int v = 0; v < count; ++v) {
      if (row.multiplier) {
        sum[v] = larger(row.zero + ((sum[v] * row.multiplier + half) >> row.shift), V{});
        sum[v] = (sum[v] > 255 ? 255 - V{} : sum[v]) - row.zero;
      }
      at(out + v * lanes) = sum[v];
    }
  }
}

// The last vectors of a run, fewer than a tile.
template <class Number, int count>
inline void convolve_rest(int left, const Row& row, const Tap* taps, std::int64_t from, float lowest, Number* arena) {
  if constexpr (count > 0) {
    if (left == count) return convolve_tile<Number, count>(row, taps, from, lowest, arena);
    convolve_rest<Number, count - 1>(left, row, taps, from, lowest, arena);
  }
}

// Zeros between the rows of a plane and after its last, where a run has left its marks. Down the columns, since a call of
// memset, which the compiler makes of a row, takes longer than the one or two stores.
template <class Number>
inline void clear_border(const Step& s, std::int64_t pixel, Number* plane) {
  const std::int64_t pitch = s.pitch * pixel, end = s.height * pitch;
  for (std::int64_t x = s.width * pixel; x < pitch; ++x)
    for (std::int64_t i = x; i < end; i += pitch) plane[i] = 0;
  at(plane + end) = typename Wide<Number>::Type{};
}

template <class Number>
inline void convolve_row(const Step& s, const Row& row, const Tap* taps, std::int64_t pixel, Number* arena) {
  std::int64_t v = 0;
  for (; v + tile_vectors <= s.vectors; v += tile_vectors)
    convolve_tile<Number, tile_vectors>(row, taps, v * lanes, s.lowest, arena);
  convolve_rest<Number, tile_vectors - 1>(static_cast<int>(s.vectors - v), row, taps, v * lanes, s.lowest, arena);
  if (row.halo) clear_border(s, pixel, arena + row.output);
}

}  // namespace easting::EASTING_VARIANT
