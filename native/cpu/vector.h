// Fixed-width vectors by the compiler's vector extension: one source for every instruction set.
// Compiled once per variant; everything lives in the variant's namespace so that no wide code leaks into a narrow build.
#pragma once
#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include "../types.h"
#include "parallel.h"

// Bytes of one register. What holds many sums in registers must use vectors of this size: of wider ones the compiler
// (GCC 12) keeps arrays in memory.
#if defined(__AVX512F__)
#define EASTING_REGISTER 64
#elif defined(__AVX2__)
#define EASTING_REGISTER 32
#else
#define EASTING_REGISTER 16
#endif

namespace easting::EASTING_VARIANT {

using Stored = EASTING_STORED;    // of activations and their gradients
using Real = Arithmetic<Stored>;  // of everything else

// One register. Of vectors wider than one, GCC 12 keeps each in memory, written in parts and read whole: with two AVX2
// registers a sparse convolution takes ten times as long.
inline constexpr int lanes = EASTING_REGISTER / sizeof(Real);
typedef Real Vector __attribute__((vector_size(EASTING_REGISTER), aligned(sizeof(Real)), may_alias));

// Vectors that a kernel may hold as accumulators without spilling.
#if defined(__AVX512F__)
inline constexpr int accumulators = 24;
#else
inline constexpr int accumulators = 12;
#endif

// Of tensors up to so many bytes much is still in cache when the next kernel reads them.
inline constexpr std::int64_t cached_bytes = 8 << 20;

// The words of a vector of floats, and their halves as bfloat16 stores them.
template <std::size_t bytes>
struct Bits {
  typedef std::uint32_t Words __attribute__((vector_size(bytes)));
  typedef std::int32_t Integers __attribute__((vector_size(bytes)));
  typedef std::uint16_t Halves __attribute__((vector_size(bytes / 2), aligned(2), may_alias));
};

template <std::size_t bytes>
inline typename Bits<bytes>::Words widened(const bfloat16* p) {
  typename Bits<bytes>::Words words;
  for (std::size_t i = 0; i < bytes / sizeof(float); ++i) words[i] = p[i].bits;
  return words << 16;
}

inline Vector load(const Real* p) { return *reinterpret_cast<const Vector*>(p); }
inline void store(Real* p, Vector v) { *reinterpret_cast<Vector*>(p) = v; }
inline Vector load(const bfloat16* p) { return reinterpret_cast<Vector>(widened<sizeof(Vector)>(p)); }
// For results of arithmetic, whose NaN is quiet: rounding up changes the sign of no other word.
inline void store(bfloat16* p, Vector v) {
  using To = Bits<sizeof(Vector)>;
  const auto words = reinterpret_cast<To::Words>(v), rounded = words + 0x7fff + (words >> 16 & 1);
  const auto nan = reinterpret_cast<To::Words>(reinterpret_cast<To::Integers>(words ^ rounded) >> 31);
  *reinterpret_cast<To::Halves*>(p) = __builtin_convertvector((rounded | nan) >> 16, To::Halves);
}

// Past the caches, without fetching first what is overwritten; `p` is aligned to a register. `streamed` stands between the
// last of them and what lets another thread read.
inline void stream(Real* p, Vector v) {
#if defined(__AVX512F__)
  _mm512_stream_si512(reinterpret_cast<__m512i*>(p), reinterpret_cast<__m512i>(v));
#elif defined(__AVX2__)
  _mm256_stream_si256(reinterpret_cast<__m256i*>(p), reinterpret_cast<__m256i>(v));
#elif defined(__SSE2__)
  _mm_stream_si128(reinterpret_cast<__m128i*>(p), reinterpret_cast<__m128i>(v));
#else
  store(p, v);
#endif
}
inline void stream(bfloat16* p, Vector v) { store(p, v); }  // half a register at a time it gains nothing
inline void streamed() {
#if defined(__SSE2__)
  _mm_sfence();
#endif
}
// Whether to stream a plane of a tensor of so many numbers: most of what caches can hold is read from there sooner.
inline bool outgrows_caches(const Stored* plane, std::int64_t size) {
  return std::is_same_v<Stored, Real> && size * static_cast<std::int64_t>(sizeof(Stored)) > cached_bytes &&
         reinterpret_cast<std::uintptr_t>(plane) % sizeof(Vector) == 0;
}

inline Vector broadcast_value(Real x) {
  return x - Vector{};  // minus zero changes no bit, so this is a broadcast and nothing else
}

// Halves until one is left.
inline Real horizontal_sum(Vector v) {
  Real lane[lanes];
  store(lane, v);
  for (int width = lanes / 2; width > 0; width /= 2)
    for (int i = 0; i < width; ++i) lane[i] += lane[i + width];
  return lane[0];
}

// Σ f(i) over [0, n) for f that yields a Vector at multiples of `lanes` (first argument) and a Real for the tail: blocks
// of 4096 elements are summed in lanes and added up in double, so long planes keep their digits.
template <class FVector, class FReal>
inline double blocked_sum(std::int64_t n, FVector vector_at, FReal real_at) {
  double total = 0;
  std::int64_t i = 0;
  while (i + lanes <= n) {
    const std::int64_t end = i + 4096 < n ? i + 4096 : n;
    Vector a{}, b{}, c{}, d{};
    for (; i + 4 * lanes <= end; i += 4 * lanes) {
      a += vector_at(i);
      b += vector_at(i + lanes);
      c += vector_at(i + 2 * lanes);
      d += vector_at(i + 3 * lanes);
    }
    for (; i + lanes <= end; i += lanes) a += vector_at(i);
    total += static_cast<double>(horizontal_sum((a + b) + (c + d)));
  }
  for (; i < n; ++i) total += static_cast<double>(real_at(i));
  return total;
}

// Work below this many element operations is done by one thread: waking others costs more.
inline constexpr std::int64_t parallel_threshold = 32768;

}  // namespace easting::EASTING_VARIANT
