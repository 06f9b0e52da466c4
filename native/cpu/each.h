// Pointwise loops: fixed chunks of contiguous elements, each written by one task.
#pragma once
#include "vector.h"

namespace easting::EASTING_VARIANT {

// Calls f(i) for i in [0, n). f may read and write at i only; buffers may be the same but not overlap otherwise.
template <class F>
inline void each(std::int64_t n, F f) {
  constexpr std::int64_t chunk = 16384;
  parallel_for((n + chunk - 1) / chunk, n >= parallel_threshold, [=](std::int64_t task) {
    const F local = f;  // known not to change under the stores below
    const std::int64_t begin = task * chunk, end = begin + chunk < n ? begin + chunk : n;
#pragma GCC ivdep
    for (std::int64_t i = begin; i < end; ++i) local(i);
  });
}

// y[i] = f(i), or y[i] += f(i).
template <class T, class F>
inline void write_each(Out<T> y, bool accumulate, F f) {
  if (accumulate)
    each(y.size, [=](std::int64_t i) { y[i] += f(i); });
  else
    each(y.size, [=](std::int64_t i) { y[i] = f(i); });
}

}  // namespace easting::EASTING_VARIANT
