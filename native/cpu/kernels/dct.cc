// The discrete cosine transform of every patch of a convolution: output o at a pixel is coefficient o of the orthonormal
// DCT-II of its patch, in the order (ky, kx, c), padded with zeros to max(c * kh * kw, o) numbers. Two images go through
// one complex FFT as real and imaginary part (Makhoul, "A fast cosine transform in one and two dimensions", 1980).
#include "../../kernels.h"
#include "../vector.h"

#include <cmath>

namespace easting::EASTING_VARIANT {
namespace {

constexpr int images = 2 * lanes;  // per block: `lanes` real parts and `lanes` imaginary parts

struct Complex {
  Vector re, im;
};
inline Complex operator+(Complex a, Complex b) { return {a.re + b.re, a.im + b.im}; }
inline Complex operator-(Complex a, Complex b) { return {a.re - b.re, a.im - b.im}; }
inline Complex zero() { return {Vector{}, Vector{}}; }
// a * (cosine - i sine)
inline Complex turn(Complex a, Real cosine, Real sine) {
  return {a.re * cosine + a.im * sine, a.im * cosine - a.re * sine};
}

// Cosines and sines: of 2 pi t / n for t < n, then of pi t / 2 n.
struct Angles {
  std::int64_t n;
  const Real* table;
  Real cosine(std::int64_t t) const { return table[t]; }
  Real sine(std::int64_t t) const { return table[n + t]; }
  Real quarter_cosine(std::int64_t t) const { return table[2 * n + t]; }
  Real quarter_sine(std::int64_t t) const { return table[3 * n + t]; }
};

Angles angles(std::int64_t n) {
  Real* table = static_cast<Real*>(scratch(0, 4 * n * sizeof(Real)));
  const double turn = 2 * M_PI / static_cast<double>(n);
  for (std::int64_t t = 0; t < n; ++t) {
    table[t] = static_cast<Real>(std::cos(turn * t));
    table[n + t] = static_cast<Real>(std::sin(turn * t));
    table[2 * n + t] = static_cast<Real>(std::cos(turn * t / 4));
    table[3 * n + t] = static_cast<Real>(std::sin(turn * t / 4));
  }
  return {n, table};
}

std::int64_t next_factor(std::int64_t n) {
  if (n % 4 == 0) return 4;
  for (std::int64_t p = 2; p * p <= n; ++p)
    if (n % p == 0) return p;
  return n;
}

// b[j] = sum over k of a[k] exp(-2 pi i j k / p)
inline void butterfly(std::int64_t p, const Complex* a, Complex* b, const Angles& angles) {
  if (p == 2) {
    b[0] = a[0] + a[1];
    b[1] = a[0] - a[1];
  } else if (p == 4) {
    const Complex even = a[0] + a[2], odd = a[1] + a[3], left = a[0] - a[2], right = a[1] - a[3];
    b[0] = even + odd;
    b[2] = even - odd;
    b[1] = {left.re + right.im, left.im - right.re};
    b[3] = {left.re - right.im, left.im + right.re};
  } else {
    for (std::int64_t j = 0; j < p; ++j) {
      b[j] = a[0];
      for (std::int64_t k = 1; k < p; ++k) {
        const std::int64_t t = j * k % p * (angles.n / p);
        b[j] = b[j] + turn(a[k], angles.cosine(t), angles.sine(t));
      }
    }
  }
}

// In-order mixed-radix FFT (Stockham); `x` and `y` take turns and the result is where the returned pointer says.
Complex* transform(const Angles& angles, Complex* x, Complex* y, Complex* values) {
  for (std::int64_t n = angles.n, stride = 1; n > 1;) {
    const std::int64_t p = next_factor(n), m = n / p;
    Complex* const turned = values + p;
    for (std::int64_t q = 0; q < m; ++q)
      for (std::int64_t r = 0; r < stride; ++r) {
        for (std::int64_t k = 0; k < p; ++k) values[k] = x[r + stride * (q + m * k)];
        butterfly(p, values, turned, angles);
        Complex* to = y + r + stride * p * q;
        to[0] = turned[0];
        for (std::int64_t j = 1; j < p; ++j)
          to[stride * j] = turn(turned[j], angles.cosine(q * j * stride), angles.sine(q * j * stride));
      }
    n = m;
    stride *= p;
    Complex* const other = x;
    x = y;
    y = other;
  }
  return x;
}

std::int64_t largest_factor(std::int64_t n) {
  std::int64_t most = 1;
  while (n > 1) {
    const std::int64_t p = next_factor(n);
    most = p > most ? p : most;
    n /= p;
  }
  return most;
}

// Up to `lanes` numbers; what lies beyond is 0, or is left alone.
inline Vector load_part(const Real* p, std::int64_t count) {
  if (count >= lanes) return load(p);
  Real part[lanes] = {};
  for (std::int64_t i = 0; i < count; ++i) part[i] = p[i];
  return load(part);
}
inline void store_part(Real* p, std::int64_t count, Vector v) {
  if (count >= lanes) return store(p, v);
  Real part[lanes];
  store(part, v);
  for (std::int64_t i = 0; i < count; ++i) p[i] = part[i];
}
inline Complex load_pair(const Real* p, std::int64_t count) {
  return {load_part(p, count), count > lanes ? load_part(p + lanes, count - lanes) : Vector{}};
}
inline void store_pair(Real* p, std::int64_t count, Complex z) {
  store_part(p, count, z.re);
  if (count > lanes) store_part(p + lanes, count - lanes, z.im);
}

// Where number j of a patch stands in the FFT's input: the even ones ascending, then the odd ones descending.
inline std::int64_t place(std::int64_t j, std::int64_t n) { return j % 2 == 0 ? j / 2 : n - 1 - j / 2; }

inline Real weight_of(std::int64_t k, std::int64_t n) {
  return static_cast<Real>(std::sqrt((k == 0 ? 1.0 : 2.0) / static_cast<double>(n)));
}

// Calls f(offset in x of the pixel's images, place in the FFT) for every number of the patch of output (ho, wo).
template <class F>
inline void each_of_patch(const ConvShape& shape, std::int64_t n, std::int64_t ho, std::int64_t wo, F f) {
  for (std::int64_t tap = 0; tap < shape.taps(); ++tap) {
    const std::int64_t hi = ho * shape.stride - shape.padding + tap / shape.kw;
    const std::int64_t wi = wo * shape.stride - shape.padding + tap % shape.kw;
    if (hi < 0 || hi >= shape.h || wi < 0 || wi >= shape.w) continue;
    for (std::int64_t c = 0; c < shape.c; ++c)
      f((c * shape.h + hi) * shape.w * shape.n + wi * shape.n, place(tap * shape.c + c, n));
  }
}

struct Room {
  Complex *x, *y, *values;
};
Room room(std::int64_t n) {
  Complex* memory = static_cast<Complex*>(scratch(1, (2 * n + 2 * largest_factor(n)) * sizeof(Complex)));
  return {memory, memory + n, memory + 2 * n};
}

std::int64_t length_of(const ConvShape& shape) {
  const std::int64_t patch = shape.c * shape.taps();
  return patch > shape.o ? patch : shape.o;
}

}  // namespace

void dct_conv_forward(In<Real> x, ConvShape shape, Out<Real> y) {
  const std::int64_t n = length_of(shape), rows = shape.out_h(), columns = shape.out_w(), plane = shape.out_plane();
  const std::int64_t blocks = (shape.n + images - 1) / images;
  const Angles turns = angles(n);
  parallel_for(blocks * rows, true, [=](std::int64_t task) {
    const std::int64_t first = task / rows * images, ho = task % rows, count = shape.n - first;
    const Room at = room(n);
    for (std::int64_t wo = 0; wo < columns; ++wo) {
      for (std::int64_t j = 0; j < n; ++j) at.x[j] = zero();
      each_of_patch(shape, n, ho, wo, [&](std::int64_t from, std::int64_t to) {
        at.x[to] = load_pair(x.data + from + first, count);
      });
      const Complex* z = transform(turns, at.x, at.y, at.values);
      for (std::int64_t k = 0; k < shape.o; ++k) {
        const Complex a = z[k], b = z[k == 0 ? 0 : n - k];
        const Real scale = weight_of(k, n) / 2;
        const Real cosine = turns.quarter_cosine(k) * scale, sine = turns.quarter_sine(k) * scale;
        const Complex result = {(a.re + b.re) * cosine + (a.im - b.im) * sine,
                                (a.im + b.im) * cosine - (a.re - b.re) * sine};
        store_pair(y.data + k * plane + (ho * columns + wo) * shape.n + first, count, result);
      }
    }
  });
}

// The transposed transform. Output rows that read the same input row go in turn, so that each number of dx has one owner.
void dct_conv_backward(In<Real> dy, ConvShape shape, Out<Real> dx, bool accumulate) {
  const std::int64_t n = length_of(shape), rows = shape.out_h(), columns = shape.out_w(), plane = shape.out_plane();
  const std::int64_t blocks = (shape.n + images - 1) / images;
  const Angles turns = angles(n);
  if (!accumulate)
    parallel_for(shape.c, dx.size >= parallel_threshold, [=](std::int64_t c) {
      for (std::int64_t i = c * shape.in_plane(); i < (c + 1) * shape.in_plane(); ++i) dx[i] = 0;
    });
  const std::int64_t groups = (shape.kh + shape.stride - 1) / shape.stride;
  for (std::int64_t group = 0; group < groups && group < rows; ++group) {
    const std::int64_t own = (rows - group + groups - 1) / groups;
    parallel_for(blocks * own, true, [=](std::int64_t task) {
      const std::int64_t first = task / own * images, ho = group + task % own * groups, count = shape.n - first;
      const Room at = room(n);
      for (std::int64_t wo = 0; wo < columns; ++wo) {
        const auto gradient = [&](std::int64_t k) -> Complex {
          if (k >= shape.o) return zero();
          const Complex z = load_pair(dy.data + k * plane + (ho * columns + wo) * shape.n + first, count);
          const Real scale = weight_of(k, n) / 2;
          return {z.re * scale, z.im * scale};
        };
        at.x[0] = gradient(0) + gradient(0);
        for (std::int64_t k = 1; k < n; ++k) {
          const std::int64_t l = n - k;
          if (k >= shape.o && l >= shape.o) {
            at.x[k] = zero();
            continue;
          }
          const Complex a = turn(gradient(k), turns.quarter_cosine(k), turns.quarter_sine(k));
          const Complex b = turn(gradient(l), turns.quarter_cosine(l), -turns.quarter_sine(l));
          at.x[k] = a + b;
        }
        const Complex* z = transform(turns, at.x, at.y, at.values);
        each_of_patch(shape, n, ho, wo, [&](std::int64_t to, std::int64_t from) {
          Real* p = dx.data + to + first;
          store_pair(p, count, load_pair(p, count) + z[from]);
        });
      }
    });
  }
}

}  // namespace easting::EASTING_VARIANT
