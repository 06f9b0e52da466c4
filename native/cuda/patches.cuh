// The patches of a convolution as a matrix operand, and where its product goes: rows are channels, columns (pixel, image),
// and k runs over (source channel, tap).
#pragma once
#include "../axis.h"
#include "gemm.cuh"

namespace easting::cuda {

// What a convolution or its data gradient reads and writes, in elements.
template <class Stored>
struct Correlation {
  const Stored* source;
  Stored* destination;
  Axis rows, columns;
  int n, source_channels, destination_channels, destination_width;
  std::int64_t source_plane, destination_plane;
  bool accumulate;
  int taps() const { return rows.taps * columns.taps; }
  int depth() const { return source_channels * taps(); }
};

// k as (channel, row of taps, column of taps).
struct Taps {
  Divisor all, columns;
  Taps(int row_taps, int column_taps)
      : all(row_taps * column_taps > 0 ? row_taps * column_taps : 1), columns(column_taps > 0 ? column_taps : 1) {}
  EASTING_BOTH int split(int k, int* row, int* column) const {
    int tap;
    const int channel = all.divide(k, &tap);
    *row = columns.divide(tap, column);
    return channel;
  }
};

// A column as (row, column, image).
struct Pixels {
  Divisor images, columns;
  Pixels(int columns, int n) : images(n), columns(columns > 0 ? columns : 1) {}
  EASTING_BOTH int split(int i, int* column, int* image) const {
    return columns.divide(images.divide(i, image), column);
  }
};

// Zeros where a tap falls outside the source. `fours`: n is a multiple of four, so four columns are of one pixel.
template <class Real, class Stored, bool fours>
struct Patches {
  static constexpr bool along_k = false;
  static constexpr int pixels_of_line = fours ? 1 : 4;
  struct Line {
    int row[pixels_of_line], column[pixels_of_line], image[pixels_of_line];
  };
  const Stored* source;
  std::int64_t plane;
  Axis rows, columns;
  int n;
  Taps taps;
  Pixels pixels;

  explicit Patches(const Correlation<Stored>& p)
      : source(p.source), plane(p.source_plane), rows(p.rows), columns(p.columns), n(p.n),
        taps(p.rows.taps, p.columns.taps), pixels(p.columns.size, p.n) {}

  __device__ Line line(int first, int count) const {
    Line to;
    const int last = count - (fours ? 4 : 1);  // beyond it nothing is kept, but loads must stay inside
    for (int i = 0; i < pixels_of_line; ++i)
      to.row[i] = pixels.split(first + i < last ? first + i : last, &to.column[i], &to.image[i]);
    return to;
  }
  __device__ Four<Real> load(const Line& line, int k, int end) const {
    Four<Real> to = {};
    if (k >= end) return to;
    int row_tap, column_tap;
    const Stored* from = source + taps.split(k, &row_tap, &column_tap) * plane;
    for (int i = 0; i < pixels_of_line; ++i) {
      const int h = rows.at(line.row[i], row_tap), w = columns.at(line.column[i], column_tap);
      if (h < 0 || w < 0) continue;
      const Stored* at = from + (h * columns.source + w) * n + line.image[i];
      if constexpr (fours) {
        const auto four = *reinterpret_cast<const Four<Stored>*>(at);
        for (int j = 0; j < 4; ++j) to.v[j] = four.v[j];
      } else {
        to.v[i] = *at;
      }
    }
    return to;
  }
};

template <class Real, class Stored, bool fours>
struct Destination {
  Stored* data;
  std::int64_t plane;
  Axis rows, columns;
  int width, n, size;
  Pixels pixels;
  bool accumulate;

  explicit Destination(const Correlation<Stored>& p)
      : data(p.destination), plane(p.destination_plane), rows(p.rows), columns(p.columns), width(p.destination_width),
        n(p.n), size(p.rows.size * p.columns.size * p.n), pixels(p.columns.size, p.n), accumulate(p.accumulate) {}

  __device__ Stored* at(int channel, int i) const {
    int column, image;
    const int row = pixels.split(i, &column, &image);
    const int pixel = (rows.first + rows.step * row) * width + columns.first + columns.step * column;
    return data + channel * plane + pixel * n + image;
  }
  __device__ void operator()(int, int channel, int i, const Four<Real>& sum) const {
    if constexpr (fours) {
      auto& to = *reinterpret_cast<Four<Stored>*>(at(channel, i));
      Four<Stored> result;
      if (accumulate) result = to;
      for (int j = 0; j < 4; ++j) result.v[j] = accumulate ? result.v[j] + sum.v[j] : sum.v[j];
      to = result;
    } else {
      for (int j = 0; j < 4 && i + j < size; ++j) {
        Stored* to = at(channel, i + j);
        *to = accumulate ? *to + sum.v[j] : sum.v[j];
      }
    }
  }
};

// destination = weights [destination channel][k] x patches; takes scratch slot 0.
template <class Real, class Stored, class Weights>
void correlate(const Weights& weights, const Correlation<Stored>& p) {
  const int columns = gemm::dimension(std::int64_t{p.rows.size} * p.columns.size * p.n);
  gemm::dimension(p.source_plane), gemm::dimension(p.destination_plane);
  if (columns == 0 || p.destination_channels == 0) return;
  const auto run = [&]<bool fours>(std::bool_constant<fours>) {
    gemm::multiply<Real>(weights, Patches<Real, Stored, fours>(p), Destination<Real, Stored, fours>(p),
                         p.destination_channels, columns, p.depth());
  };
  if (p.n % 4 == 0 && aligned(p.source) && aligned(p.destination)) run(std::true_type{});
  else run(std::false_type{});
}

// The convolution of x to y.
template <class Stored>
Correlation<Stored> forward_correlation(const Stored* x, const ConvShape& s, Stored* y) {
  if (s.kh == 1 && s.kw == 1 && s.stride == 1 && s.padding == 0) {  // pixels are then no more than images
    const Axis one = forward_axis(1, 1, 1, 1, 0);
    return {x, y, one, one, gemm::dimension(s.in_plane()), s.c, s.o, 1, s.in_plane(), s.out_plane(), false};
  }
  return {x, y, forward_axis(s.out_h(), s.h, s.kh, s.stride, s.padding),
          forward_axis(s.out_w(), s.w, s.kw, s.stride, s.padding), s.n, s.c, s.o, s.out_w(), s.in_plane(),
          s.out_plane(), false};
}

// Its data gradient: of the input pixels whose row and column have these remainders by the stride.
template <class Stored>
Correlation<Stored> backward_correlation(const Stored* dy, const ConvShape& s, int row_phase, int column_phase, Stored* dx,
                                         bool accumulate) {
  if (s.kh == 1 && s.kw == 1 && s.stride == 1 && s.padding == 0) {
    const Axis one = forward_axis(1, 1, 1, 1, 0);
    return {dy, dx, one, one, gemm::dimension(s.in_plane()), s.o, s.c, 1, s.out_plane(), s.in_plane(), accumulate};
  }
  return {dy, dx, backward_axis(s.h, s.out_h(), s.kh, s.stride, s.padding, row_phase),
          backward_axis(s.w, s.out_w(), s.kw, s.stride, s.padding, column_phase), s.n, s.o, s.c, s.w, s.out_plane(),
          s.in_plane(), accumulate};
}

}  // namespace easting::cuda
