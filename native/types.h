// What a kernel may take as an argument. One conversion from JavaScript per type stands in binding.h.
#pragma once
#include <cstddef>
#include <cstdint>

namespace easting {

// A read-only run of elements; `data` is null when the caller left an optional argument out.
template <class T>
struct In {
  const T* data = nullptr;
  std::int64_t size = 0;
  explicit operator bool() const { return data != nullptr; }
  const T& operator[](std::int64_t i) const { return data[i]; }
};

// A writable run of elements; null when left out. It may alias an `In` only where the kernel says so.
template <class T>
struct Out {
  T* data = nullptr;
  std::int64_t size = 0;
  explicit operator bool() const { return data != nullptr; }
  T& operator[](std::int64_t i) const { return data[i]; }
};

// A 2-d convolution or pooling over activations [c][h][w][n] (batch innermost), giving [o][out_h][out_w][n].
struct ConvShape {
  std::int32_t c, h, w, n, o, kh, kw, stride, padding;
  std::int32_t out_h() const { return (h + 2 * padding - kh) / stride + 1; }
  std::int32_t out_w() const { return (w + 2 * padding - kw) / stride + 1; }
  std::int64_t taps() const { return std::int64_t{kh} * kw; }
  std::int64_t in_plane() const { return std::int64_t{h} * w * n; }
  std::int64_t out_plane() const { return std::int64_t{out_h()} * out_w() * n; }
};

// What a random number is drawn for; with the element's index it determines the number (random.h).
struct RandomKey {
  std::uint32_t seed, purpose, stream, step;
};

}  // namespace easting
