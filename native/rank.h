// The order in which top_k ranks scores, and how it breaks ties: the same on every device.
#pragma once
#include "random.h"

namespace easting {

// Bits of |x| as an integer of the same order; every NaN ranks just above infinity.
EASTING_BOTH inline std::uint32_t rank_of(float x) {
  const std::uint32_t bits = __builtin_bit_cast(std::uint32_t, x) & 0x7FFFFFFFu;
  return bits > 0x7F800000u ? 0x7F800001u : bits;
}
EASTING_BOTH inline std::uint64_t rank_of(double x) {
  const std::uint64_t bits = __builtin_bit_cast(std::uint64_t, x) & 0x7FFFFFFFFFFFFFFFu;
  return bits > 0x7FF0000000000000u ? 0x7FF0000000000001u : bits;
}

// The tie order, largest first; asked in ascending positions it draws each group of four once.
struct TieRank {
  RandomKey key;
  In<std::int32_t> identity;
  std::uint64_t group = ~std::uint64_t{0};
  Random4 words = {};
  EASTING_BOTH std::uint32_t operator()(std::int64_t at) {
    const std::int64_t position = identity ? identity[at] : at;
    const auto wanted = static_cast<std::uint64_t>(position) / 4;
    if (wanted != group) words = random4(key, group = wanted);
    return ~words.v[position % 4];
  }
};

}  // namespace easting
