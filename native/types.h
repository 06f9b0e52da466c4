// What a kernel may take as an argument. One conversion from JavaScript per type stands in binding.h.
#pragma once
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

// What host and device share, g++ and nvcc compile alike.
#ifdef __CUDACC__
#define EASTING_BOTH __host__ __device__
#else
#define EASTING_BOTH
#endif

namespace easting {

// A number stored in 16 bits, the upper half of an f32: arithmetic on it is f32. Rounds to the nearest, ties to even; NaN
// stays NaN.
struct bfloat16 {
  std::uint16_t bits;
  EASTING_BOTH operator float() const { return __builtin_bit_cast(float, std::uint32_t{bits} << 16); }
  EASTING_BOTH bfloat16& operator=(float x) {
    const auto word = __builtin_bit_cast(std::uint32_t, x), rounded = word + 0x7fff + (word >> 16 & 1);
    bits = static_cast<std::uint16_t>((x != x ? word | 0x400000 : rounded) >> 16);
    return *this;
  }
  EASTING_BOTH bfloat16& operator+=(float x) { return *this = *this + x; }
};

// What numbers stored as `Stored` are computed in; also the type of parameters, statistics and sums.
template <class Stored>
using Arithmetic = std::conditional_t<std::is_same_v<Stored, bfloat16>, float, Stored>;

// A read-only run of elements; `data` is null when the caller left an optional argument out.
template <class T>
struct In {
  const T* data = nullptr;
  std::int64_t size = 0;
  EASTING_BOTH explicit operator bool() const { return data != nullptr; }
  EASTING_BOTH const T& operator[](std::int64_t i) const { return data[i]; }
};

// A writable run of elements; null when left out. It may alias an `In` only where the kernel says so.
template <class T>
struct Out {
  T* data = nullptr;
  std::int64_t size = 0;
  EASTING_BOTH explicit operator bool() const { return data != nullptr; }
  EASTING_BOTH T& operator[](std::int64_t i) const { return data[i]; }
};

// A 2-d convolution or pooling over activations [c][h][w][n] (batch innermost), giving [o][out_h][out_w][n].
struct ConvShape {
  std::int32_t c, h, w, n, o, kh, kw, stride, padding;
  EASTING_BOTH std::int32_t out_h() const { return (h + 2 * padding - kh) / stride + 1; }
  EASTING_BOTH std::int32_t out_w() const { return (w + 2 * padding - kw) / stride + 1; }
  EASTING_BOTH std::int64_t taps() const { return std::int64_t{kh} * kw; }
  EASTING_BOTH std::int64_t in_plane() const { return std::int64_t{h} * w * n; }
  EASTING_BOTH std::int64_t out_plane() const { return std::int64_t{out_h()} * out_w() * n; }
};

// BatchNorm over (h, w, n) of each channel, with what is fused behind it: y = relu(xhat * weight + bias + residual), and
// its means [c][n] over the pixels of each channel and image.
// Arrays are [c] except the planes `residual` and `y`, which are compact activations. Without `y` only the statistics are
// taken. The running ones may be left out in training: they then stand still.
template <class Stored>
struct BatchNormForward {
  using Real = Arithmetic<Stored>;
  In<Real> weight, bias;
  Out<Real> mean, inverse_deviation, running_mean, running_variance;
  double epsilon = 0, momentum = 0;
  bool training = false, relu = false;
  In<Stored> residual;
  In<std::int32_t> residual_kind;
  In<Real> residual_value;
  Out<Stored> y;
  Out<std::int32_t> y_kind;
  Out<Real> y_value;
  Out<Real> means;
  EASTING_BOTH explicit operator bool() const { return mean.data != nullptr; }
};

// Its gradients. dy is masked by the ReLU in place: it is then the residual's gradient. With g = masked dy:
// dbias = Σg, dweight = Σ g xhat, dx = weight / deviation * (g - (dbias + xhat dweight) / size) in training, and without
// the bracket's second term in evaluation. `y` tells what the ReLU passed; null where x alone does. dx may be x, and
// without a residual dy. `dmeans` [c][n], the gradient of y's means over pixels, is added to dy, in place, where all planes
// are there.
template <class Stored>
struct BatchNormBackward {
  using Real = Arithmetic<Stored>;
  In<Stored> x;
  In<std::int32_t> x_kind;
  In<Stored> y;
  In<std::int32_t> y_kind;
  Out<Stored> dy;
  In<std::int32_t> dy_kind;
  In<Real> dy_value, weight, bias, mean, inverse_deviation;
  bool training = false, relu = false, residual = false;
  In<std::int32_t> residual_kind;
  Out<std::int32_t> dresidual_kind;
  Out<Real> dresidual_value;
  Out<Stored> dx;
  Out<Real> dweight, dbias;
  bool accumulate = false;  // adds to dweight and dbias
  In<Real> dmeans;
  EASTING_BOTH explicit operator bool() const { return x.data != nullptr; }
};

// Tensors that one kernel takes together, so that many small ones cost one call.
template <class T>
using List = std::vector<T>;
template <class Real>
struct SgdTensor {
  Out<Real> weight;
  In<Real> gradient;
  Out<Real> velocity;
};
template <class Real>
struct AdamTensor {
  Out<Real> weight;
  In<Real> gradient;
  Out<Real> first, second;
};

// What a random number is drawn for; with the element's index it determines the number (random.h).
struct RandomKey {
  std::uint32_t seed, purpose, stream, step;
};

}  // namespace easting
