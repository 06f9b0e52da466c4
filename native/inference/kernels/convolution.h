// A row of a convolution: a plane and its border are one run of numbers, and so is what each tap reads, only shifted.
// Several sums are held in registers while the taps go by. After SkimCaffe (Park et al., ICLR 2017).
#pragma once
#include "../../cpu/vector.h"
#include "../program.h"

namespace easting::EASTING_VARIANT {

using inference::Row;
using inference::Step;
using inference::Tap;

inline constexpr int tile_registers = 8;  // sums held at a time; they hide the latency of an addition

template <class Number>
struct Register {
  typedef Number Type __attribute__((vector_size(EASTING_REGISTER), aligned(4), may_alias));
  static constexpr int lanes = EASTING_REGISTER / sizeof(Number);
};

template <class Number>
inline typename Register<Number>::Type& at(Number* p) {
  return *reinterpret_cast<typename Register<Number>::Type*>(p);
}
template <class V>
inline V larger(V a, V b) {
  return a < b ? b : a;  // NaN in a stays
}

template <class Number, int count>
inline void convolve_tile(const Row& row, const Tap* taps, std::int64_t from, float lowest, Number* arena) {
  using V = typename Register<Number>::Type;
  using inference::number;
  constexpr int lanes = Register<Number>::lanes;
  V sum[count];
#pragma GCC unroll 8
  for (int v = 0; v < count; ++v) sum[v] = number<Number>(row.bias) - V{};  // of −0 as well
  for (const Tap *tap = taps + row.first, *end = tap + row.count; tap != end; ++tap) {
    Number* p = arena + tap->at + from;
    const V weight = number<Number>(tap->weight) - V{};
#pragma GCC unroll 8
    for (int v = 0; v < count; ++v) sum[v] += weight * at(p + v * lanes);
  }
  if (row.residual != inference::nowhere) {
    Number* p = arena + row.residual + from;
    const Number offset = number<Number>(row.offset), floor = number<Number>(row.floor);
    if constexpr (__is_same(Number, float)) {
      if (offset == 0 && floor == -__builtin_inff())
#pragma GCC unroll 8
        for (int v = 0; v < count; ++v) sum[v] += at(p + v * lanes);
      else
#pragma GCC unroll 8
        for (int v = 0; v < count; ++v) sum[v] += larger(at(p + v * lanes) + offset, floor - V{});
    } else {
#pragma GCC unroll 8
      for (int v = 0; v < count; ++v) sum[v] += larger(row.factor * at(p + v * lanes) + offset, floor - V{});
    }
  }
  Number* out = arena + row.output + from;
  if constexpr (__is_same(Number, float)) {
#pragma GCC unroll 8
    for (int v = 0; v < count; ++v) at(out + v * lanes) = larger(sum[v], lowest - V{});
  } else {
    const std::int32_t half = row.shift > 0 ? 1 << (row.shift - 1) : 0;
#pragma GCC unroll 8
    for (int v = 0; v < count; ++v) {
      if (row.multiplier) {
        sum[v] = larger(row.zero + ((sum[v] * row.multiplier + half) >> row.shift), V{});
        sum[v] = (sum[v] > 255 ? 255 - V{} : sum[v]) - row.zero;
      }
      at(out + v * lanes) = sum[v];
    }
  }
}

// The last registers of a run, fewer than a tile.
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
  for (int x = 0; x < lanes; x += Register<Number>::lanes) at(plane + end + x) = typename Register<Number>::Type{};
}

template <class Number>
inline void convolve_row(const Step& s, const Row& row, const Tap* taps, std::int64_t pixel, Number* arena) {
  constexpr int width = Register<Number>::lanes;
  const std::int64_t registers = std::int64_t{s.vectors} * lanes / width;
  std::int64_t v = 0;
  for (; v + tile_registers <= registers; v += tile_registers)
    convolve_tile<Number, tile_registers>(row, taps, v * width, s.lowest, arena);
  convolve_rest<Number, tile_registers - 1>(static_cast<int>(registers - v), row, taps, v * width, s.lowest, arena);
  if (row.halo) clear_border(s, pixel, arena + row.output);
}

}  // namespace easting::EASTING_VARIANT
