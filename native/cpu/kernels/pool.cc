#include "../../kernels.h"
#include "../vector.h"

#include <cmath>

#include "../../channels.h"
#include "../period.h"

namespace easting::EASTING_VARIANT {

void average_pool_forward(In<Stored> x, In<std::int32_t> x_kind, In<Real> x_value, std::int32_t channels,
                          std::int32_t batch, Out<Real> y) {
  const std::int64_t plane = x.size / channels;
  parallel_for(channels, x.size >= parallel_threshold, [=](std::int64_t channel) {
    Real* const means = y.data + channel * batch;
    if (const auto kind = kind_of(x_kind, channel); kind != Kind::plane) {
      for (std::int64_t j = 0; j < batch; ++j) means[j] = kind == Kind::constant ? x_value[channel] : Real(0);
      return;
    }
    ImageSums sums(batch, plane, 0);
    for (std::int64_t i = 0; i < plane; i += sums.chunk())
      sums.add(x.data + channel * plane + i, i + sums.chunk() < plane ? sums.chunk() : plane - i);
    sums.means(means);
  });
}

void average_pool_backward(In<Real> dy, In<std::int32_t> x_kind, std::int32_t channels, std::int32_t batch, Out<Stored> dx,
                           Out<std::int32_t> dx_kind, Out<Real> dx_value, bool accumulate) {
  const std::int64_t plane = dx.size / channels, length = row_length(batch, plane);
  parallel_for(channels, dx.size >= parallel_threshold, [=](std::int64_t channel) {
    bool add = accumulate;
    if (x_kind) {
      if (x_kind[channel] == Kind::constant) {
        double sum = 0;
        for (std::int64_t j = 0; j < batch; ++j) sum += static_cast<double>(dy[channel * batch + j]);
        return put_constant(dx_kind, dx_value, channel, sum, accumulate);
      }
      add = accumulate && dx_kind[channel] == Kind::plane;
      dx_kind[channel] = x_kind[channel] == Kind::plane ? Kind::plane : Kind::zero;
      if (x_kind[channel] != Kind::plane) return;
    }
    const Real* row = means_gradient(dy.data + channel * batch, batch, length, plane, 0);
    const std::int64_t end = (channel + 1) * plane;
    for (std::int64_t i = channel * plane; i < end; i += length) {
      const std::int64_t count = i + length < end ? length : end - i;
      Stored* to = dx.data + i;
      if (add) {
#pragma GCC ivdep
        for (std::int64_t j = 0; j < count; ++j) to[j] += row[j];
      } else {
#pragma GCC ivdep
        for (std::int64_t j = 0; j < count; ++j) to[j] = row[j];
      }
    }
  });
}

// `winner` is the input pixel hi * w + wi that gave each output, the first of equals; a NaN wins, as in PyTorch. A
// window that lies in the padding altogether gives -infinity and winner -1.
void max_pool_forward(In<Stored> x, ConvShape shape, Out<Stored> y, Out<std::int32_t> winner) {
  const std::int64_t n = shape.n, out_w = shape.out_w();
  parallel_for(std::int64_t{shape.c} * shape.out_h(), y.size * shape.taps() >= parallel_threshold,
               [=](std::int64_t task) {
    const std::int64_t channel = task / shape.out_h(), ho = task % shape.out_h();
    const Stored* plane = x.data + channel * shape.in_plane();
    for (std::int64_t wo = 0; wo < out_w; ++wo) {
      Stored* best = y.data + (task * out_w + wo) * n;
      std::int32_t* won = winner.data + (task * out_w + wo) * n;
      for (std::int64_t j = 0; j < n; ++j) best[j] = -static_cast<Real>(INFINITY);
      for (std::int64_t j = 0; j < n; ++j) won[j] = -1;
      for (std::int32_t tap = 0; tap < shape.taps(); ++tap) {
        const std::int64_t hi = ho * shape.stride - shape.padding + tap / shape.kw;
        const std::int64_t wi = wo * shape.stride - shape.padding + tap % shape.kw;
        if (hi < 0 || hi >= shape.h || wi < 0 || wi >= shape.w) continue;
        const std::int32_t pixel = static_cast<std::int32_t>(hi * shape.w + wi);
        const Stored* run = plane + pixel * n;
#pragma GCC ivdep
        for (std::int64_t j = 0; j < n; ++j) {
          const Real v = run[j];
          const bool better = v > best[j] || v != v || won[j] < 0;
          best[j] = better ? v : best[j];
          won[j] = better ? pixel : won[j];
        }
      }
    }
  });
}

void max_pool_backward(In<Stored> dy, In<std::int32_t> winner, ConvShape shape, Out<Stored> dx, bool accumulate) {
  const std::int64_t n = shape.n, in_plane = shape.in_plane(), out_plane = shape.out_plane();
  parallel_for(shape.c, dx.size >= parallel_threshold, [=](std::int64_t channel) {
    Stored* plane = dx.data + channel * in_plane;
    if (!accumulate)
      for (std::int64_t i = 0; i < in_plane; ++i) plane[i] = 0;
    const std::int32_t* won = winner.data + channel * out_plane;
    const Stored* from = dy.data + channel * out_plane;
    for (std::int64_t i = 0; i < out_plane; i += n)
      for (std::int64_t j = 0; j < n; ++j)
        if (won[i + j] >= 0) plane[won[i + j] * n + j] += from[i + j];
  });
}

}  // namespace easting::EASTING_VARIANT
