// The steps of a network, but for convolutions.
#include "../kernels.h"
#include "convolution.h"

namespace easting::EASTING_VARIANT {
namespace {

// out[y][x] = in[y · stride + phase][x · stride + phase'] where that lies inside, else 0, down to the border below: with
// these planes a convolution with a stride reads runs like any other.
void split_row(const Step& s, const Row& row, std::int64_t pixel, float* arena) {
  const std::int64_t stride = s.stride, pitch = s.pitch, phase_y = row.first, phase_x = row.count;
  const std::int64_t there = phase_x < s.in_width ? (s.in_width - phase_x + stride - 1) / stride : 0;
  const std::int64_t most = pitch - s.left;  // the border between rows ends as the left one of the next
  for (std::int64_t y = 0; y < std::int64_t{s.height} + s.bottom; ++y) {
    float* out = arena + row.output + y * pitch * pixel;
    const std::int64_t from = y * stride + phase_y;
    const std::int64_t end = from >= s.in_height ? 0 : there < most ? there : most;
    const float* in = arena + row.residual + (from * s.in_pitch + phase_x) * pixel;
    if (pixel == 1 && stride == 2) {
      for (std::int64_t x = 0; x < end; ++x) out[x] = in[2 * x];
    } else {
      for (std::int64_t x = 0; x < end; ++x)
        for (std::int64_t b = 0; b < pixel; ++b) out[x * pixel + b] = in[x * stride * pixel + b];
    }
    for (std::int64_t x = end * pixel; x < pitch * pixel; ++x) out[x] = 0;
  }
}

// Largest of `kernel` pixels from each `stride`-th on.
template <int kernel, int stride>
inline void largest_of(const float* line, std::int64_t width, float* out) {
  for (std::int64_t x = 0; x < width; ++x) {
    float most = line[x * stride];
    for (int k = 1; k < kernel; ++k) most = most < line[x * stride + k] ? line[x * stride + k] : most;
    out[x] = most;
  }
}

void max_pool_row(const Step& s, const Row& row, std::int64_t pixel, float* arena) {
  const std::int64_t kernel = s.kernel, stride = s.stride, padding = s.padding, in_run = s.in_width * pixel;
  // The largest of each column of the window, in a line that reaches as far as the windows do.
  const std::int64_t reach = (s.width - 1) * stride + kernel;
  const std::int64_t columns = reach > padding + s.in_width ? reach : padding + s.in_width;
  auto* line = static_cast<float*>(scratch(0, columns * pixel * sizeof(float)));
  for (std::int64_t i = 0; i < columns * pixel; ++i) line[i] = -__builtin_inff();
  float* middle = line + padding * pixel;
  for (std::int64_t y = 0; y < s.height; ++y) {
    const std::int64_t top = y * stride - padding;
    for (std::int64_t i = 0; i < in_run; ++i) middle[i] = -__builtin_inff();
    for (std::int64_t ky = top < 0 ? 0 : top; ky < top + kernel && ky < s.in_height; ++ky) {
      const float* in = arena + row.residual + ky * s.in_pitch * pixel;
      for (std::int64_t i = 0; i < in_run; ++i) middle[i] = middle[i] < in[i] ? in[i] : middle[i];
    }
    float* out = arena + row.output + y * s.pitch * pixel;
    if (pixel == 1 && kernel == 3 && stride == 2) {
      largest_of<3, 2>(line, s.width, out);
      continue;
    }
    for (std::int64_t x = 0; x < s.width; ++x)
      for (std::int64_t b = 0; b < pixel; ++b) {
        const float* window = line + x * stride * pixel + b;
        float most = window[0];
        for (std::int64_t k = 1; k < kernel; ++k) most = most < window[k * pixel] ? window[k * pixel] : most;
        out[x * pixel + b] = most;
      }
  }
  if (row.halo) clear_border(s, pixel, arena + row.output);
}

// Column x goes to sum x mod 16, and these are added in halves: one order for any number of images in a tile.
void average_pool_row(const Step& s, const Row& row, std::int64_t pixel, float* arena) {
  float* sums = static_cast<float*>(scratch(0, lanes * pixel * sizeof(float)));
  for (std::int64_t i = 0; i < lanes * pixel; ++i) sums[i] = 0;
  for (std::int64_t y = 0; y < s.in_height; ++y)
    for (std::int64_t x = 0; x < s.in_width; x += lanes) {
      const float* in = arena + row.residual + (y * s.in_pitch + x) * pixel;
      const std::int64_t run = (s.in_width - x < lanes ? s.in_width - x : lanes) * pixel;
      for (std::int64_t i = 0; i < run; ++i) {
        const float value = in[i] + row.offset;
        sums[i] += value < row.floor ? row.floor : value;
      }
    }
  for (std::int64_t half = lanes / 2 * pixel; half >= pixel; half /= 2)
    for (std::int64_t i = 0; i < half; ++i) sums[i] += sums[i + half];
  const float scale = 1 / static_cast<float>(std::int64_t{s.in_height} * s.in_width);
  for (std::int64_t b = 0; b < pixel; ++b) arena[row.output + b] = sums[b] * scale;
}

}  // namespace

void run_rows(const Step& step, const Row* rows, std::int64_t count, const Tap* taps, std::int64_t pixel,
              float* arena) {
  const auto each = [&](auto run) {
    for (const Row *row = rows, *end = rows + count; row != end; ++row) run(*row);
  };
  switch (step.op) {
    case inference::Op::convolution:
      return each([&](const Row& row) { convolve_row(step, row, taps, pixel, arena); });
    case inference::Op::split:
      return each([&](const Row& row) { split_row(step, row, pixel, arena); });
    case inference::Op::max_pool:
      return each([&](const Row& row) { max_pool_row(step, row, pixel, arena); });
    case inference::Op::average_pool:
      return each([&](const Row& row) { average_pool_row(step, row, pixel, arena); });
  }
}

void write_bytes(const std::uint8_t* from, std::int64_t step, std::int64_t h, std::int64_t w, float scale, float shift,
                 float* to, std::int64_t pitch, std::int64_t pixel) {
  for (std::int64_t y = 0; y < h; ++y) {
    const std::uint8_t* in = from + y * w * step;
    float* out = to + y * pitch * pixel;
    if (pixel == 1 && step == 1)
      for (std::int64_t x = 0; x < w; ++x) out[x] = static_cast<float>(in[x]) * scale + shift;
    else if (pixel == 1 && step == 3)
      for (std::int64_t x = 0; x < w; ++x) out[x] = static_cast<float>(in[3 * x]) * scale + shift;
    else
      for (std::int64_t x = 0; x < w; ++x) out[x * pixel] = static_cast<float>(in[x * step]) * scale + shift;
  }
}

}  // namespace easting::EASTING_VARIANT
