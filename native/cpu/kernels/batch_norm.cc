// BatchNorm (Ioffe and Szegedy, 2015) over (h, w, n) of each channel, fused with the residual add and ReLU behind it.
// One task per channel: a plane is read from memory once and reread from cache.
#include <cmath>

#include "../../kernels.h"
#include "../affine.h"
#include "../channels.h"
#include "../vector.h"

namespace easting::EASTING_VARIANT {
namespace {

// y = relu?(x * scale + shift + residual)
template <bool relu, bool residual>
void apply(const Real* x, const Real* r, Affine a, std::int64_t size, Real* y) {
  const Vector scale = broadcast_value(a.scale), shift = broadcast_value(a.shift), zero{};
  std::int64_t i = 0;
  for (; i + lanes <= size; i += lanes) {
    Vector v = load(x + i) * scale + shift;
    if constexpr (residual) v += load(r + i);
    if constexpr (relu) v = v < zero ? zero : v;  // NaN passes
    store(y + i, v);
  }
  for (; i < size; ++i) {
    Real v = x[i] * a.scale + a.shift;
    if constexpr (residual) v += r[i];
    if constexpr (relu) v = v < 0 ? 0 : v;
    y[i] = v;
  }
}

void apply(const Real* x, const Real* r, Affine a, bool relu, std::int64_t size, Real* y) {
  if (relu) r ? apply<true, true>(x, r, a, size, y) : apply<true, false>(x, r, a, size, y);
  else r ? apply<false, true>(x, r, a, size, y) : apply<false, false>(x, r, a, size, y);
}

// Normalised output of one channel from its affine form; writes a plane unless the result is one number everywhere.
struct Norm {
  In<Real> x, residual;
  In<int32_t> x_kind, residual_kind;
  In<Real> residual_value;
  bool relu;
  std::int64_t size;
  Out<Real> y;
  Out<int32_t> y_kind;
  Out<Real> y_value;

  void write(std::int64_t c, Affine a) const {
    const bool own = kind_of(x_kind, c) == Kind::plane;
    const bool other = residual && kind_of(residual_kind, c) == Kind::plane;
    if (residual && kind_of(residual_kind, c) == Kind::constant) a.shift += residual_value[c];
    if (!own && !other) {
      const Real value = relu && a.shift < 0 ? Real(0) : a.shift;  // NaN passes
      // Behind a ReLU a zero passes nothing on; without one its gradient still counts.
      y_kind[c] = relu && value == 0 ? Kind::zero : Kind::constant;
      y_value[c] = value;
      return;
    }
    if (y_kind) y_kind[c] = Kind::plane;
    const Real* r = other ? residual.data + c * size : nullptr;
    Real* out = y.data + c * size;
    if (own) apply(x.data + c * size, r, a, relu, size, out);
    else apply(r, nullptr, {1, a.shift}, relu, size, out);
  }
};

// Mean and inverse deviation of a channel: of the batch, which also moves the running estimates, or the running ones.
struct Statistics {
  In<Real> x;
  In<int32_t> x_kind;
  std::int64_t size;
  double epsilon;
  bool training;
  Out<Real> mean, inverse_deviation, running_mean, running_variance;
  double momentum;

  void take(std::int64_t c) const {
    if (!training) {
      mean[c] = running_mean[c];
      inverse_deviation[c] = static_cast<Real>(1 / std::sqrt(static_cast<double>(running_variance[c]) + epsilon));
      return;
    }
    double m = 0, variance = 0;
    if (kind_of(x_kind, c) == Kind::plane) {
      const Real* plane = x.data + c * size;
      m = blocked_sum(size, [&](std::int64_t i) { return load(plane + i); }, [&](std::int64_t i) { return plane[i]; }) /
          static_cast<double>(size);
      const Real center = static_cast<Real>(m);
      const Vector centers = broadcast_value(center);
      const auto square = [](auto d) { return d * d; };
      // Σ(x - center)² - size (m - center)²: the second term removes what rounding the mean to Real added.
      const double squares = blocked_sum(size, [&](std::int64_t i) { return square(load(plane + i) - centers); },
                                         [&](std::int64_t i) { return square(plane[i] - center); });
      const double gap = m - static_cast<double>(center);
      variance = squares / static_cast<double>(size) - gap * gap;
      if (variance < 0) variance = 0;
    }
    mean[c] = static_cast<Real>(m);
    inverse_deviation[c] = static_cast<Real>(1 / std::sqrt(variance + epsilon));
    if (running_mean) {
      const double unbiased = size > 1 ? variance * static_cast<double>(size) / static_cast<double>(size - 1) : variance;
      running_mean[c] = static_cast<Real>((1 - momentum) * running_mean[c] + momentum * m);
      running_variance[c] = static_cast<Real>((1 - momentum) * running_variance[c] + momentum * unbiased);
    }
  }
};

}  // namespace

void batch_norm_forward(In<Real> x, In<int32_t> x_kind, In<Real> residual, In<int32_t> residual_kind,
                        In<Real> residual_value, In<Real> weight, In<Real> bias, int32_t channels, double epsilon,
                        bool relu, Out<Real> mean, Out<Real> inverse_deviation, Out<Real> running_mean,
                        Out<Real> running_variance, double momentum, Out<Real> y, Out<int32_t> y_kind,
                        Out<Real> y_value) {
  const std::int64_t size = x.size / channels;
  const Norm norm{x, residual, x_kind, residual_kind, residual_value, relu, size, y, y_kind, y_value};
  const Statistics statistics{x,    x_kind,           size,        epsilon, true, mean, inverse_deviation,
                              running_mean, running_variance, momentum};
  parallel_for(channels, x.size > parallel_threshold, [&](std::int64_t c) {
    if (kind_of(x_kind, c) == Kind::unneeded) {
      y_kind[c] = Kind::zero;
      return;
    }
    statistics.take(c);
    norm.write(c, affine(weight[c], bias[c], mean[c], inverse_deviation[c]));
  });
}

void batch_norm_statistics(In<Real> x, In<int32_t> x_kind, int32_t channels, double epsilon, bool training,
                           Out<Real> mean, Out<Real> inverse_deviation, Out<Real> running_mean,
                           Out<Real> running_variance, double momentum) {
  const Statistics statistics{x,    x_kind,           x.size / channels, epsilon, training, mean, inverse_deviation,
                              running_mean, running_variance, momentum};
  parallel_for(channels, x.size > parallel_threshold, [&](std::int64_t c) {
    if (kind_of(x_kind, c) != Kind::unneeded) statistics.take(c);
  });
}

void batch_norm_evaluate(In<Real> x, In<int32_t> x_kind, In<Real> residual, In<int32_t> residual_kind,
                         In<Real> residual_value, In<Real> weight, In<Real> bias, In<Real> running_mean,
                         In<Real> running_variance, int32_t channels, double epsilon, bool relu, Out<Real> mean,
                         Out<Real> inverse_deviation, Out<Real> y, Out<int32_t> y_kind, Out<Real> y_value) {
  const std::int64_t size = x.size / channels;
  const Norm norm{x, residual, x_kind, residual_kind, residual_value, relu, size, y, y_kind, y_value};
  parallel_for(channels, x.size > parallel_threshold, [&](std::int64_t c) {
    if (kind_of(x_kind, c) == Kind::unneeded) {
      y_kind[c] = Kind::zero;
      return;
    }
    mean[c] = running_mean[c];
    inverse_deviation[c] = static_cast<Real>(1 / std::sqrt(static_cast<double>(running_variance[c]) + epsilon));
    norm.write(c, affine(weight[c], bias[c], mean[c], inverse_deviation[c]));
  });
}

// dy is masked by the ReLU in place: it is the residual's gradient. With xhat = (x - mean) / deviation and g = masked dy:
// dbias = Σg, dweight = Σ g xhat, dx = weight / deviation * (g - (dbias + xhat dweight) / size) in training, and without
// the bracket's second term in evaluation. dx may alias dy when there is no residual.
void batch_norm_backward(In<Real> x, In<int32_t> x_kind, In<Real> y, In<int32_t> y_kind, Out<Real> dy,
                         In<int32_t> dy_kind, In<Real> dy_value, In<Real> weight, In<Real> bias, In<Real> mean,
                         In<Real> inverse_deviation, int32_t channels, bool relu, bool training, bool residual,
                         In<int32_t> residual_kind, Out<int32_t> dresidual_kind, Out<Real> dresidual_value,
                         Out<Real> dx, Out<Real> dweight, Out<Real> dbias, bool accumulate_parameters) {
  const std::int64_t size = x.size / channels;
  parallel_for(channels, x.size > parallel_threshold, [&](std::int64_t c) {
    const auto finish = [&](double sum, double product, bool there) {
      if (dweight) dweight[c] = static_cast<Real>(accumulate_parameters ? dweight[c] + product : product);
      if (dbias) dbias[c] = static_cast<Real>(accumulate_parameters ? dbias[c] + sum : sum);
      if (!dresidual_kind) return;
      const auto kind = kind_of(residual_kind, c);
      dresidual_kind[c] = kind == Kind::plane && !there ? Kind::zero : kind > 0 ? kind : Kind::zero;
      dresidual_value[c] = static_cast<Real>(sum);
    };
    const bool own = kind_of(x_kind, c) == Kind::plane;
    Real* to = own && dx ? dx.data + c * size : nullptr;
    const auto out_kind = kind_of(y_kind, c), gradient_kind = kind_of(dy_kind, c);
    // A channel without a plane: xhat is the same number everywhere, 0 in training.
    const double lone = training || out_kind == Kind::zero
                            ? 0
                            : -static_cast<double>(mean[c]) * static_cast<double>(inverse_deviation[c]);
    if (out_kind == Kind::constant) {
      const double sum = gradient_kind == Kind::constant ? static_cast<double>(dy_value[c]) : 0;
      return finish(sum, sum * lone, false);
    }
    if (out_kind != Kind::plane || gradient_kind != Kind::plane) {
      for (std::int64_t i = 0; to && i < size; ++i) to[i] = 0;
      return finish(0, 0, false);
    }
    const Real* plane = own ? x.data + c * size : nullptr;
    const Real* out = y ? y.data + c * size : nullptr;
    Real* g = dy.data + c * size;
    const Affine a = affine(weight[c], bias[c], mean[c], inverse_deviation[c]);
    const Vector scale = broadcast_value(a.scale), shift = broadcast_value(a.shift), none{};
    const Real center = mean[c];
    const Vector centers = broadcast_value(center);
    const bool by_output = relu && residual;  // otherwise x tells whether the ReLU passed
    const auto masked = [&](std::int64_t i) {
      const Vector v = load(g + i);
      if (!relu) return v;
      const Vector pre = by_output ? load(out + i) : load(plane + i) * scale + shift;
      return pre > none ? v : none;
    };
    const auto masked_one = [&](std::int64_t i) {
      if (!relu) return g[i];
      return (by_output ? out[i] : plane[i] * a.scale + a.shift) > 0 ? g[i] : Real(0);
    };
    const auto centered = [&](std::int64_t i) { return own ? load(plane + i) - centers : none; };
    double sum = 0, product = 0;
    std::int64_t i = 0;
    while (i + lanes <= size) {
      const std::int64_t end = i + 4096 < size ? i + 4096 : size;
      Vector s0{}, s1{}, p0{}, p1{};
      for (; i + 2 * lanes <= end; i += 2 * lanes) {
        const Vector g0 = masked(i), g1 = masked(i + lanes);
        if (by_output) store(g + i, g0), store(g + i + lanes, g1);
        s0 += g0;
        s1 += g1;
        p0 += g0 * centered(i);
        p1 += g1 * centered(i + lanes);
      }
      for (; i + lanes <= end; i += lanes) {
        const Vector g0 = masked(i);
        if (by_output) store(g + i, g0);
        s0 += g0;
        p0 += g0 * centered(i);
      }
      sum += static_cast<double>(horizontal_sum(s0 + s1));
      product += static_cast<double>(horizontal_sum(p0 + p1));
    }
    for (; i < size; ++i) {
      const Real v = masked_one(i);
      if (by_output) g[i] = v;
      sum += static_cast<double>(v);
      if (own) product += static_cast<double>(v) * static_cast<double>(plane[i] - center);
    }
    product = own ? product * static_cast<double>(inverse_deviation[c]) : sum * lone;
    finish(sum, product, true);
    if (!to) return;
    const double count = static_cast<double>(size);
    const Real mean_g = static_cast<Real>(training ? sum / count : 0);
    const Real slope = static_cast<Real>(training ? product / count * static_cast<double>(inverse_deviation[c]) : 0);
    const Vector mean_gs = broadcast_value(mean_g), slopes = broadcast_value(slope);
    i = 0;
    for (; i + lanes <= size; i += lanes) {
      const Vector v = by_output ? load(g + i) : masked(i);
      store(to + i, scale * (v - mean_gs - (load(plane + i) - centers) * slopes));
    }
    for (; i < size; ++i) {
      const Real v = by_output ? g[i] : masked_one(i);
      to[i] = a.scale * (v - mean_g - (plane[i] - center) * slope);
    }
  });
}

}  // namespace easting::EASTING_VARIANT
