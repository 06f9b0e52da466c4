// Kinds of a compact activation's channels (see kernels.def).
#pragma once
#include "kernels.h"

namespace easting::EASTING_VARIANT {

enum Kind : std::int32_t { unneeded = -1, zero = 0, plane = 1, constant = 2 };

// Whether an output is computed: not at all, if it has connections, or even without (as zeros).
enum Need : std::int32_t { never = 0, connected = 1, always = 2 };

template <class Kinds>
EASTING_BOTH inline std::int32_t kind_of(Kinds kinds, std::int64_t channel) {
  return kinds ? kinds[channel] : static_cast<std::int32_t>(plane);
}

// Writes or adds the part of one channel that is a single number.
EASTING_BOTH inline void put_constant(Out<std::int32_t> kind, Out<Real> value, std::int64_t channel, double number, bool accumulate) {
  const bool add = accumulate && kind[channel] == constant;
  value[channel] = static_cast<Real>(add ? static_cast<double>(value[channel]) + number : number);
  kind[channel] = constant;
}

}  // namespace easting::EASTING_VARIANT
