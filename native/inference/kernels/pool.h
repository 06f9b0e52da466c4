// Max-pools and average pools of one plane.
#pragma once
#include "convolution.h"

namespace easting::EASTING_VARIANT {

template <class Number>
inline constexpr Number least = __is_same(Number, float) ? -__builtin_inff() : Number(-2147483647 - 1);

// Largest of `kernel` pixels from each `stride`-th on.
template <int kernel, int stride, class Number>
inline void largest_of(const Number* line, std::int64_t width, Number* out) {
  for (std::int64_t x = 0; x < width; ++x) {
    Number most = line[x * stride];
    for (int k = 1; k < kernel; ++k) most = most < line[x * stride + k] ? line[x * stride + k] : most;
    out[x] = most;
  }
}

template <class Number>
inline void max_pool_row(const Step& s, const Row& row, std::int64_t pixel, Number* arena) {
  const std::int64_t kernel = s.kernel, stride = s.stride, padding = s.padding, in_run = s.in_width * pixel;
  // The largest of each column of the window, in a line that reaches as far as the windows do.
  const std::int64_t reach = (s.width - 1) * stride + kernel;
  const std::int64_t columns = reach > padding + s.in_width ? reach : padding + s.in_width;
  auto* line = static_cast<Number*>(scratch(0, columns * pixel * sizeof(Number)));
  for (std::int64_t i = 0; i < columns * pixel; ++i) line[i] = least<Number>;
  Number* middle = line + padding * pixel;
  for (std::int64_t y = 0; y < s.height; ++y) {
    const std::int64_t top = y * stride - padding;
    for (std::int64_t i = 0; i < in_run; ++i) middle[i] = least<Number>;
    for (std::int64_t ky = top < 0 ? 0 : top; ky < top + kernel && ky < s.in_height; ++ky) {
      const Number* in = arena + row.residual + ky * s.in_pitch * pixel;
      for (std::int64_t i = 0; i < in_run; ++i) middle[i] = middle[i] < in[i] ? in[i] : middle[i];
    }
    Number* out = arena + row.output + y * s.pitch * pixel;
    if (pixel == 1 && kernel == 3 && stride == 2) {
      largest_of<3, 2>(line, s.width, out);
      continue;
    }
    for (std::int64_t x = 0; x < s.width; ++x)
      for (std::int64_t b = 0; b < pixel; ++b) {
        const Number* window = line + x * stride * pixel + b;
        Number most = window[0];
        for (std::int64_t k = 1; k < kernel; ++k) most = most < window[k * pixel] ? window[k * pixel] : most;
        out[x * pixel + b] = most;
      }
  }
  if (row.halo) clear_border(s, pixel, arena + row.output);
}

// Column x goes to sum x mod 16, and these are added in halves: one order for any number of images in a tile.
template <class Number>
inline void average_pool_row(const Step& s, const Row& row, std::int64_t pixel, Number* arena) {
  const Number offset = inference::number<Number>(row.offset), floor = inference::number<Number>(row.floor);
  const Number factor = static_cast<Number>(row.factor);
  auto* sums = static_cast<Number*>(scratch(0, lanes * pixel * sizeof(Number)));
  for (std::int64_t i = 0; i < lanes * pixel; ++i) sums[i] = 0;
  for (std::int64_t y = 0; y < s.in_height; ++y)
    for (std::int64_t x = 0; x < s.in_width; x += lanes) {
      const Number* in = arena + row.residual + (y * s.in_pitch + x) * pixel;
      const std::int64_t run = (s.in_width - x < lanes ? s.in_width - x : lanes) * pixel;
      for (std::int64_t i = 0; i < run; ++i) {
        const Number value = (__is_same(Number, float) ? in[i] : factor * in[i]) + offset;
        sums[i] += value < floor ? floor : value;
      }
    }
  for (std::int64_t half = lanes / 2 * pixel; half >= pixel; half /= 2)
    for (std::int64_t i = 0; i < half; ++i) sums[i] += sums[i + half];
  Number* out = arena + row.output;
  if constexpr (__is_same(Number, float)) {
    const float scale = 1 / static_cast<float>(std::int64_t{s.in_height} * s.in_width);
    for (std::int64_t b = 0; b < pixel; ++b) out[b] = sums[b] * scale;
  } else {
    const std::int32_t half = row.shift > 0 ? 1 << (row.shift - 1) : 0;
    for (std::int64_t b = 0; b < pixel; ++b) {
      const std::int32_t q = row.zero + ((sums[b] * row.multiplier + half) >> row.shift);
      out[b] = (q < 0 ? 0 : q > 255 ? 255 : q) - row.zero;
    }
  }
}

}  // namespace easting::EASTING_VARIANT
