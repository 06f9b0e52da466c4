// The discrete cosine transform of every patch of a convolution: output o at a pixel is coefficient o of the orthonormal
// DCT-II of its patch, in the order (ky, kx, c), padded with zeros to max(c * kh * kw, o) numbers. It is a convolution
// whose weights are cosines, computed as the product reads them.
#include "../../kernels.h"

#include <cmath>

#include "../patches.cuh"

namespace easting::EASTING_VARIANT {
namespace {

using cuda::Four;
using cuda::launch;

// table[t] = cos(2 pi t / 4 length)
__global__ void cosines(std::int64_t length, Real* table) {
  const double turn = 2 * M_PI / static_cast<double>(4 * length);
  EASTING_EACH(t, 4 * length) table[t] = static_cast<Real>(std::cos(turn * static_cast<double>(t)));
}

// weight[o][c][tap] = sqrt(2 / length) cos(pi (2 j + 1) o / 2 length), where j = tap * channels + c is the place in the
// patch; the first output has sqrt(1 / length).
struct Cosines {
  const Real* table;
  int channels, kernel_width, length;
  Real first, others;

  __device__ Real operator()(int o, int c, int tap_row, int tap_column) const {
    const int j = (tap_row * kernel_width + tap_column) * channels + c;
    const std::uint64_t turns = std::uint64_t{2} * j + 1;
    const auto period = static_cast<unsigned>(4 * length);
    const std::uint64_t at = turns * static_cast<unsigned>(o);
    // 64-bit division is slow and seldom needed
    const unsigned rest = at >> 32 ? static_cast<unsigned>(at % period) : static_cast<unsigned>(at) % period;
    return table[rest] * (o == 0 ? first : others);
  }
};

// The weights as the product's left operand: rows are outputs and k is (input channel, tap), or, for the data gradient,
// rows are input channels and k is (output, tap of the phase).
template <bool transposed>
struct Weights {
  static constexpr bool along_k = true;
  using Line = int;
  Cosines cosine;
  Axis rows, columns;
  cuda::Taps taps;

  __device__ Line line(int row, int count) const { return row < count ? row : count - 1; }
  __device__ Four<Real> load(Line line, int k, int end) const {
    Four<Real> to = {};
    for (int i = 0; i < 4; ++i) {
      if (k + i >= end) continue;
      int row, column;
      const int channel = taps.split(k + i, &row, &column);
      to.v[i] = cosine(transposed ? channel : line, transposed ? line : channel, rows.tap_first + rows.tap_step * row,
                       columns.tap_first + columns.tap_step * column);
    }
    return to;
  }
};

Cosines cosines_of(const ConvShape& s) {
  const std::int64_t patch = s.c * s.taps(), length = patch > s.o ? patch : s.o;
  auto* table = static_cast<Real*>(cuda::scratch(1, 4 * length * sizeof(Real)));
  launch(cosines, 4 * length, length, table);
  const double power = 1 / static_cast<double>(length);
  return {table, s.c, s.kw, cuda::gemm::dimension(length), static_cast<Real>(std::sqrt(power)),
          static_cast<Real>(std::sqrt(2 * power))};
}

template <bool transposed>
void transform(const Cosines& cosine, const cuda::Correlation<Real>& p) {
  cuda::correlate<Real>(Weights<transposed>{cosine, p.rows, p.columns, {p.rows.taps, p.columns.taps}}, p);
}

}  // namespace

void dct_conv_forward(In<Real> x, ConvShape s, Out<Real> y) {
  transform<false>(cosines_of(s), cuda::forward_correlation(x.data, s, y.data));
}

void dct_conv_backward(In<Real> dy, ConvShape s, Out<Real> dx, bool accumulate) {
  const Cosines cosine = cosines_of(s);
  for (int v = 0; v < s.stride; ++v)
    for (int h = 0; h < s.stride; ++h)
      transform<true>(cosine, cuda::backward_correlation(dy.data, s, v, h, dx.data, accumulate));
}

}  // namespace easting::EASTING_VARIANT
