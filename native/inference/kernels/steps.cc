// The steps of a network, in f32 and in i32.
#include "../kernels.h"
#include "convolution.h"
#include "pool.h"

namespace easting::EASTING_VARIANT {
namespace {

// out[y][x] = in[y · stride + phase][x · stride + phase'] where that lies inside, else 0, down to the border below: with
// these planes a convolution with a stride reads runs like any other.
template <class Number>
inline void split_row(const Step& s, const Row& row, std::int64_t pixel, Number* arena) {
  const std::int64_t stride = s.stride, pitch = s.pitch, phase_y = row.first, phase_x = row.count;
  const std::int64_t there = phase_x < s.in_width ? (s.in_width - phase_x + stride - 1) / stride : 0;
  const std::int64_t most = pitch - s.left;  // the border between rows ends as the left one of the next
  for (std::int64_t y = 0; y < std::int64_t{s.height} + s.bottom; ++y) {
    Number* out = arena + row.output + y * pitch * pixel;
    const std::int64_t from = y * stride + phase_y;
    const std::int64_t end = from >= s.in_height ? 0 : there < most ? there : most;
    const Number* in = arena + row.residual + (from * s.in_pitch + phase_x) * pixel;
    if (pixel == 1 && stride == 2) {
      for (std::int64_t x = 0; x < end; ++x) out[x] = in[2 * x];
    } else {
      for (std::int64_t x = 0; x < end; ++x)
        for (std::int64_t b = 0; b < pixel; ++b) out[x * pixel + b] = in[x * stride * pixel + b];
    }
    for (std::int64_t x = end * pixel; x < pitch * pixel; ++x) out[x] = 0;
  }
}

template <class Number>
inline void run_rows(const Step& step, const Row* rows, std::int64_t count, const Tap* taps, std::int64_t pixel,
                     Number* arena) {
  for (const Row *row = rows, *end = rows + count; row != end; ++row) switch (step.op) {
      case inference::Op::convolution:
        convolve_row(step, *row, taps, pixel, arena);
        break;
      case inference::Op::split:
        split_row(step, *row, pixel, arena);
        break;
      case inference::Op::max_pool:
        max_pool_row(step, *row, pixel, arena);
        break;
      case inference::Op::average_pool:
        average_pool_row(step, *row, pixel, arena);
    }
}

// to[x] = f(byte), with the usual distances of bytes known to the compiler.
template <class Number, class F>
inline void write_bytes(const std::uint8_t* from, std::int64_t step, std::int64_t h, std::int64_t w, F f, Number* to,
                        std::int64_t pitch, std::int64_t pixel) {
  for (std::int64_t y = 0; y < h; ++y) {
    const std::uint8_t* in = from + y * w * step;
    Number* out = to + y * pitch * pixel;
    if (pixel == 1 && step == 1)
      for (std::int64_t x = 0; x < w; ++x) out[x] = f(in[x]);
    else if (pixel == 1 && step == 3)
      for (std::int64_t x = 0; x < w; ++x) out[x] = f(in[3 * x]);
    else
      for (std::int64_t x = 0; x < w; ++x) out[x * pixel] = f(in[x * step]);
  }
}

}  // namespace

void run_rows_f32(const Step& step, const Row* rows, std::int64_t count, const Tap* taps, std::int64_t pixel,
                  float* arena) {
  run_rows(step, rows, count, taps, pixel, arena);
}

void run_rows_i32(const Step& step, const Row* rows, std::int64_t count, const Tap* taps, std::int64_t pixel,
                  std::int32_t* arena) {
  run_rows(step, rows, count, taps, pixel, arena);
}

void write_bytes_f32(const std::uint8_t* from, std::int64_t step, std::int64_t h, std::int64_t w, float scale,
                     float shift, float* to, std::int64_t pitch, std::int64_t pixel) {
  const auto normalize = [=](std::uint8_t byte) { return static_cast<float>(byte) * scale + shift; };
  write_bytes(from, step, h, w, normalize, to, pitch, pixel);
}

void write_bytes_i32(const std::uint8_t* from, std::int64_t step, std::int64_t h, std::int64_t w, std::int32_t zero,
                     std::int32_t* to, std::int64_t pitch, std::int64_t pixel) {
  write_bytes(from, step, h, w, [=](std::uint8_t byte) { return byte - zero; }, to, pitch, pixel);
}

}  // namespace easting::EASTING_VARIANT
