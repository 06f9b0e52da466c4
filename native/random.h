// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): a number is a function of its
// key and index, never of call order, so threads, devices and resumed runs draw the same bits.
#pragma once
#include "types.h"

namespace easting {

struct Random4 {
  std::uint32_t v[4];
};

EASTING_BOTH inline Random4 philox(std::uint32_t k0, std::uint32_t k1, Random4 counter) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t{0xD2511F53u} * counter.v[0];
    const std::uint64_t b = std::uint64_t{0xCD9E8D57u} * counter.v[2];
    counter = {{static_cast<std::uint32_t>(b >> 32) ^ counter.v[1] ^ k0, static_cast<std::uint32_t>(b),
                static_cast<std::uint32_t>(a >> 32) ^ counter.v[3] ^ k1, static_cast<std::uint32_t>(a)}};
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return counter;
}

// Four words for the group `index / 4` of a key.
EASTING_BOTH inline Random4 random4(RandomKey key, std::uint64_t group) {
  return philox(key.seed, key.purpose,
                {{static_cast<std::uint32_t>(group), static_cast<std::uint32_t>(group >> 32), key.stream, key.step}});
}

EASTING_BOTH inline std::uint32_t random_bits(RandomKey key, std::uint64_t index) {
  return random4(key, index / 4).v[index % 4];
}

}  // namespace easting
