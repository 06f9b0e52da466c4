// Activations as matrices of which a tap reads one run of numbers, so that a convolution is a product of matrices per tap
// with nothing copied per tap: planes have their zero padding around them, and with a stride s rows and columns are
// sorted by their remainders. [row remainder][column remainder][channel][height][width][images]
#pragma once
#include <type_traits>

#include "launch.cuh"

namespace easting::EASTING_VARIANT {

struct Padded {
  int channels, height, width, images;  // images: so many that every run begins at a multiple of 16 bytes
  int step, padding, row_phases, column_phases;

  // Of the convolution's input. Remainders that no tap reads are left out.
  static Padded input(const ConvShape& s) {
    return {s.c, (s.h + 2 * s.padding + s.stride - 1) / s.stride, (s.w + 2 * s.padding + s.stride - 1) / s.stride,
            (s.n + 3) / 4 * 4, s.stride, s.padding, s.stride < s.kh ? s.stride : s.kh, s.stride < s.kw ? s.stride : s.kw};
  }
  // Of its output: rows as far apart as the input's, so that the same run serves both.
  static Padded output(const ConvShape& s) {
    const Padded x = input(s);
    return {s.o, s.out_h(), x.width, x.images, 1, 0, 1, 1};
  }
  EASTING_BOTH std::int64_t pitch() const { return std::int64_t{height} * width * images; }
  EASTING_BOTH std::int64_t size() const { return pitch() * channels * row_phases * column_phases; }
  // Where the run of a tap begins.
  std::int64_t tap(int top, int left) const {
    return (top % step * column_phases + left % step) * channels * pitch() +
           (std::int64_t{top / step} * width + left / step) * images;
  }
  // How long it is: from the first to the last pixel of the output. What lies between the output's rows is no pixel.
  std::int64_t run(const ConvShape& s) const { return (std::int64_t{s.out_h() - 1} * width + s.out_w()) * images; }
  bool plain(int h, int w, int n) const {
    return step == 1 && padding == 0 && height == h && width == w && images == n;
  }
};

// A 1x1 convolution without stride and padding has no need of pixels: they are then no more than images.
inline ConvShape flattened(const ConvShape& s) {
  if (s.kh != 1 || s.kw != 1 || s.stride != 1 || s.padding != 0) return s;
  return {s.c, 1, 1, static_cast<std::int32_t>(s.in_plane()), s.o, 1, 1, 1, 0};
}

// to = source(channel, offset in its plane [height][width][n]), zeros around.
template <class Source>
__global__ void write_padded(Source source, Padded p, int height, int width, int n, Real* to) {
  EASTING_EACH(i, p.size()) {
    const auto image = static_cast<int>(i % p.images), column = static_cast<int>(i / p.images % p.width);
    const std::int64_t rows = i / p.images / p.width, planes = rows / p.height;
    const auto row = static_cast<int>(rows % p.height), phase = static_cast<int>(planes / p.channels);
    const int h = row * p.step + phase / p.column_phases - p.padding;
    const int w = column * p.step + phase % p.column_phases - p.padding;
    const bool inside = image < n && h >= 0 && h < height && w >= 0 && w < width;
    to[i] = inside ? source(static_cast<int>(planes % p.channels), (h * width + w) * n + image) : Real(0);
  }
}

// to [channel][height][width][n] = from, or += where it accumulates. Pixels that no tap reads are 0.
template <class To>
__global__ void read_padded(const Real* from, Padded p, int height, int width, int n, To* to, bool accumulate) {
  EASTING_EACH(i, std::int64_t{p.channels} * height * width * n) {
    const auto image = static_cast<int>(i % n), w = static_cast<int>(i / n % width) + p.padding;
    const std::int64_t rows = i / n / width;
    const int h = static_cast<int>(rows % height) + p.padding, row_phase = h % p.step, column_phase = w % p.step;
    Real value = 0;
    if (row_phase < p.row_phases && column_phase < p.column_phases) {
      const std::int64_t plane = (row_phase * p.column_phases + column_phase) * p.channels + rows / height;
      value = from[((plane * p.height + h / p.step) * p.width + w / p.step) * p.images + image];
    }
    to[i] = accumulate ? to[i] + value : value;
  }
}

// A complete activation.
struct Planes {
  const Stored* data;
  std::int64_t plane;
  __device__ Real operator()(int channel, int at) const { return data[channel * plane + at]; }
};

// The matrix of an activation [channel][height][width][n]; itself where it is one already, else in a scratch slot.
template <class Source>
const Real* padded(const Source& source, const Padded& p, int height, int width, int n, int slot) {
  if constexpr (std::is_same_v<Source, Planes> && std::is_same_v<Stored, Real>)
    if (p.plain(height, width, n)) return source.data;
  auto* to = static_cast<Real*>(cuda::scratch(slot, p.size() * sizeof(Real)));
  cuda::launch(write_padded<Source>, p.size(), source, p, height, width, n, to);
  return to;
}

}  // namespace easting::EASTING_VARIANT
