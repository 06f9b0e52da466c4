// Waiting awake for what is about to happen.
#pragma once
#include <thread>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace easting {

inline void pause_briefly() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

inline constexpr int spins = 4000;  // about 50 microseconds

// Returns once `ready()` holds, or after `spins`. Not at all on a single core, which whoever is waited for needs.
template <class F>
inline void spin_until(F ready) {
  static const int most = std::thread::hardware_concurrency() > 1 ? spins : 0;
  for (int spin = 0; spin < most && !ready(); ++spin) pause_briefly();
}

}  // namespace easting
