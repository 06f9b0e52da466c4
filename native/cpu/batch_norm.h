// BatchNorm (Ioffe and Szegedy, 2015) of one channel, forward and backward, with the residual add and ReLU fused behind
// it. A convolution runs it on the plane it has just written or is about to hand on, while that is in cache.
#pragma once
#include <cmath>

#include "../affine.h"
#include "../channels.h"
#include "period.h"

namespace easting::EASTING_VARIANT {

// y = relu?(x * scale + shift + residual)
template <bool relu, bool residual, bool streams>
inline void apply(const Stored* x, const Stored* r, Affine a, std::int64_t size, Stored* y) {
  const Vector scale = broadcast_value(a.scale), shift = broadcast_value(a.shift), zero{};
  std::int64_t i = 0;
  for (; i + lanes <= size; i += lanes) {
    Vector v = load(x + i) * scale + shift;
    if constexpr (residual) v += load(r + i);
    if constexpr (relu) v = v < zero ? zero : v;  // NaN passes
    streams ? stream(y + i, v) : store(y + i, v);
  }
  if (streams) streamed();
  for (; i < size; ++i) {
    Real v = x[i] * a.scale + a.shift;
    if constexpr (residual) v += r[i];
    if constexpr (relu) v = v < 0 ? 0 : v;
    y[i] = v;
  }
}

template <bool streams>
inline void apply(const Stored* x, const Stored* r, Affine a, bool relu, std::int64_t size, Stored* y) {
  if (relu) r ? apply<true, true, streams>(x, r, a, size, y) : apply<true, false, streams>(x, r, a, size, y);
  else r ? apply<false, true, streams>(x, r, a, size, y) : apply<false, false, streams>(x, r, a, size, y);
}

// Of a plane: mean, and biased variance.
struct Statistics {
  double mean = 0, variance = 0;
};

inline Statistics statistics_of(const Stored* plane, std::int64_t size) {
  const double mean =
      blocked_sum(size, [&](std::int64_t i) { return load(plane + i); }, [&](std::int64_t i) { return plane[i]; }) /
      static_cast<double>(size);
  const Real center = static_cast<Real>(mean);
  const Vector centers = broadcast_value(center);
  const auto square = [](auto d) { return d * d; };
  // Σ(x - center)² - size (mean - center)²: the second term removes what rounding the mean to Real added.
  const double squares = blocked_sum(size, [&](std::int64_t i) { return square(load(plane + i) - centers); },
                                     [&](std::int64_t i) { return square(plane[i] - center); });
  const double gap = mean - static_cast<double>(center), variance = squares / static_cast<double>(size) - gap * gap;
  return {mean, variance < 0 ? 0 : variance};
}

// The same for whoever has the plane's numbers in registers: sums of their distances to `center`, a number near the mean.
struct LaneMoments;
struct Moments {
  Real center = 0;
  Vector sum{}, squares{};
  double total = 0, total_squares = 0;

  void add(const LaneMoments& part);
  void add(Real v) {
    const double distance = static_cast<double>(v - center);
    total += distance;
    total_squares += distance * distance;
  }
  // Now and then: lane sums stay short, so that long planes keep their digits.
  void flush() {
    total += static_cast<double>(horizontal_sum(sum));
    total_squares += static_cast<double>(horizontal_sum(squares));
    sum = squares = Vector{};
  }
  // With the mean of one row of r as the center, gap² is at most r times the variance: its difference keeps its digits.
  Statistics statistics(std::int64_t size) const {
    const double gap = total / static_cast<double>(size);
    const double variance = total_squares / static_cast<double>(size) - gap * gap;
    return {static_cast<double>(center) + gap, variance < 0 ? 0 : variance};
  }
};

// A run's part of them; neighbours take turns at two chains of additions.
struct LaneMoments {
  Vector center, sum[2]{}, squares[2]{};

  explicit LaneMoments(const Moments& moments) : center(broadcast_value(moments.center)) {}
  void add(Vector v, int chain) {
    const Vector distance = v - center;
    sum[chain] += distance;
    squares[chain] += distance * distance;
  }
};
inline void Moments::add(const LaneMoments& part) {
  sum += part.sum[0] + part.sum[1];
  squares += part.squares[0] + part.squares[1];
}

// Of a plane's first row, whose mean is the center.
inline Moments around_mean(const Stored* row, std::int64_t size) {
  const auto [mean, variance] = statistics_of(row, size);
  Moments moments;
  moments.center = static_cast<Real>(mean);
  const double count = static_cast<double>(size), gap = mean - static_cast<double>(moments.center);
  moments.total = count * gap;
  moments.total_squares = count * (variance + gap * gap);
  return moments;
}

// Mean and inverse deviation of a channel: of the batch, which also moves the running estimates, or the running ones.
inline void take_statistics(const BatchNormForward<Stored>& norm, std::int64_t c, int32_t kind, const Stored* plane,
                            std::int64_t size, const Moments* moments) {
  if (!norm.training) {
    norm.mean[c] = norm.running_mean[c];
    norm.inverse_deviation[c] =
        static_cast<Real>(1 / std::sqrt(static_cast<double>(norm.running_variance[c]) + norm.epsilon));
    return;
  }
  Statistics batch;
  if (kind == Kind::plane) batch = moments ? moments->statistics(size) : statistics_of(plane, size);
  const auto [mean, variance] = batch;
  norm.mean[c] = static_cast<Real>(mean);
  norm.inverse_deviation[c] = static_cast<Real>(1 / std::sqrt(variance + norm.epsilon));
  if (!norm.running_mean) return;
  const double unbiased = size > 1 ? variance * static_cast<double>(size) / static_cast<double>(size - 1) : variance;
  const auto move = [&](Real& running, double now) {
    running = static_cast<Real>((1 - norm.momentum) * running + norm.momentum * now);
  };
  move(norm.running_mean[c], mean);
  move(norm.running_variance[c], unbiased);
}

// Statistics of channel c, from `moments` where its plane was measured as it was written, and its output unless only they
// are asked for: a plane unless it is one number everywhere.
inline void normalize_channel(const BatchNormForward<Stored>& norm, std::int64_t c, int32_t kind, const Stored* x,
                              std::int64_t size, const Moments* moments = nullptr) {
  const std::int64_t batch = norm.means.size / norm.weight.size;
  const auto put_means = [&](Real value) {
    for (std::int64_t j = 0; j < batch; ++j) norm.means[c * batch + j] = value;
  };
  if (kind == Kind::unneeded) {
    if (norm.y) norm.y_kind[c] = Kind::zero;
    return put_means(0);
  }
  take_statistics(norm, c, kind, x, size, moments);
  if (!norm.y) return;
  Affine a = affine(norm.weight[c], norm.bias[c], norm.mean[c], norm.inverse_deviation[c]);
  const bool own = kind == Kind::plane, other = norm.residual && kind_of(norm.residual_kind, c) == Kind::plane;
  if (norm.residual && kind_of(norm.residual_kind, c) == Kind::constant) a.shift += norm.residual_value[c];
  if (!own && !other) {
    const Real value = norm.relu && a.shift < 0 ? Real(0) : a.shift;  // NaN passes
    // Behind a ReLU a zero passes nothing on; without one its gradient still counts.
    norm.y_kind[c] = norm.relu && value == 0 ? Kind::zero : Kind::constant;
    norm.y_value[c] = value;
    return put_means(value);
  }
  if (norm.y_kind) norm.y_kind[c] = Kind::plane;
  const Stored* r = other ? norm.residual.data + c * size : nullptr;
  Stored* y = norm.y.data + c * size;
  if (!own) a.scale = 1;
  const Stored* from = own ? x : r;
  if (!own) r = nullptr;
  if (!norm.means)
    return (outgrows_caches(y, norm.y.size) ? apply<true> : apply<false>)(from, r, a, norm.relu, size, y);
  ImageSums sums(batch, size, 4);
  for (std::int64_t i = 0; i < size; i += sums.chunk()) {
    const std::int64_t run = i + sums.chunk() < size ? sums.chunk() : size - i;
    apply<false>(from + i, r ? r + i : nullptr, a, norm.relu, run, y + i);
    sums.add(y + i, run);
  }
  sums.means(norm.means.data + c * batch);
}

// Writes a channel's parameter gradients Σ g and Σ g xhat, and what kind of gradient its residual has.
inline void finish_channel(const BatchNormBackward<Stored>& norm, std::int64_t c, double sum, double product, bool there) {
  const auto put = [&](Out<Real> to, double value) {
    if (to) to[c] = static_cast<Real>(norm.accumulate ? to[c] + value : value);
  };
  put(norm.dweight, product);
  put(norm.dbias, sum);
  if (!norm.dresidual_kind) return;
  const auto kind = kind_of(norm.residual_kind, c);
  norm.dresidual_kind[c] = kind == Kind::plane && !there ? Kind::zero : kind > 0 ? kind : Kind::zero;
  norm.dresidual_value[c] = static_cast<Real>(sum);
}

// dx = scale (g - mean(g) - xhat mean(g xhat)) of a plane from its masked gradient; in evaluation dx = scale g.
struct PlaneGradient {
  Real center, mean, slope, scale;
  PlaneGradient(const Stored* x, Affine a, Real center, Real inverse_deviation, double sum, double product, bool training,
                std::int64_t size)
      : center(center),
        mean(static_cast<Real>(training ? sum / static_cast<double>(size) : 0)),
        slope(static_cast<Real>(training ? product / static_cast<double>(size) * static_cast<double>(inverse_deviation) : 0)),
        scale(a.scale),
        x_(x),
        size_(size) {}
  template <class GVector, class GReal>
  void write(Stored* dx, GVector vector_at, GReal real_at) const {
    const Vector centers = broadcast_value(center), means = broadcast_value(mean), slopes = broadcast_value(slope),
                 scales = broadcast_value(scale);
    std::int64_t i = 0;
    for (; i + lanes <= size_; i += lanes)
      store(dx + i, scales * (vector_at(i) - means - (load(x_ + i) - centers) * slopes));
    for (; i < size_; ++i) dx[i] = scale * (real_at(i) - mean - (x_[i] - center) * slope);
  }

 private:
  const Stored* x_;
  std::int64_t size_;
};

inline void denormalize_channel(const BatchNormBackward<Stored>& norm, std::int64_t c, std::int64_t size) {
  const bool own = kind_of(norm.x_kind, c) == Kind::plane;
  Stored* to = own && norm.dx ? norm.dx.data + c * size : nullptr;
  const auto out_kind = kind_of(norm.y_kind, c), gradient_kind = kind_of(norm.dy_kind, c);
  const double deviation = static_cast<double>(norm.inverse_deviation[c]);
  // A channel without a plane: xhat is the same number everywhere, 0 in training.
  const double lone = norm.training || out_kind == Kind::zero ? 0 : -static_cast<double>(norm.mean[c]) * deviation;
  if (out_kind == Kind::constant) {
    const double sum = gradient_kind == Kind::constant ? static_cast<double>(norm.dy_value[c]) : 0;
    return finish_channel(norm, c, sum, sum * lone, false);
  }
  if (out_kind != Kind::plane || gradient_kind != Kind::plane) {
    for (std::int64_t i = 0; to && i < size; ++i) to[i] = 0;
    return finish_channel(norm, c, 0, 0, false);
  }
  const Stored* x = own ? norm.x.data + c * size : nullptr;
  const Stored* y = norm.y ? norm.y.data + c * size : nullptr;
  Stored* g = norm.dy.data + c * size;
  const Affine a = affine(norm.weight[c], norm.bias[c], norm.mean[c], norm.inverse_deviation[c]);
  const Vector scale = broadcast_value(a.scale), shift = broadcast_value(a.shift), none{};
  const Real center = norm.mean[c];
  const Vector centers = broadcast_value(center);
  const bool relu = norm.relu, keep = norm.residual && relu;  // the masked gradient is also the residual's
  const std::int64_t batch = norm.dmeans.size / norm.weight.size, length = norm.dmeans ? row_length(batch, size) : 1;
  const Real* means = norm.dmeans ? means_gradient(norm.dmeans.data + c * batch, batch, length, size, 4) : nullptr;
  std::int64_t shared = 0;  // so much of g has its share of the means' gradients
  const auto share_means = [&](std::int64_t end) {
    while (means && shared < end) {
      const std::int64_t from = shared % length, count = end - shared < length - from ? end - shared : length - from;
#pragma GCC ivdep
      for (std::int64_t j = 0; j < count; ++j) g[shared + j] += means[from + j];
      shared += count;
    }
  };
  const auto masked = [&](std::int64_t i) {
    const Vector v = load(g + i);
    if (!relu) return v;
    const Vector pre = y ? load(y + i) : load(x + i) * scale + shift;
    return pre > none ? v : none;
  };
  const auto masked_one = [&](std::int64_t i) -> Real {
    if (!relu) return g[i];
    return (y ? y[i] : x[i] * a.scale + a.shift) > 0 ? g[i] : Real(0);
  };
  const auto centered = [&](std::int64_t i) { return own ? load(x + i) - centers : none; };
  double sum = 0, product = 0;
  std::int64_t i = 0;
  while (i + lanes <= size) {
    const std::int64_t end = i + 4096 < size ? i + 4096 : size;
    share_means(end);
    Vector s0{}, s1{}, p0{}, p1{};
    for (; i + 2 * lanes <= end; i += 2 * lanes) {
      const Vector g0 = masked(i), g1 = masked(i + lanes);
      if (keep) store(g + i, g0), store(g + i + lanes, g1);
      s0 += g0;
      s1 += g1;
      p0 += g0 * centered(i);
      p1 += g1 * centered(i + lanes);
    }
    for (; i + lanes <= end; i += lanes) {
      const Vector g0 = masked(i);
      if (keep) store(g + i, g0);
      s0 += g0;
      p0 += g0 * centered(i);
    }
    sum += static_cast<double>(horizontal_sum(s0 + s1));
    product += static_cast<double>(horizontal_sum(p0 + p1));
  }
  share_means(size);
  for (; i < size; ++i) {
    const Real v = masked_one(i);
    if (keep) g[i] = v;
    sum += static_cast<double>(v);
    if (own) product += static_cast<double>(v) * static_cast<double>(x[i] - center);
  }
  product = own ? product * deviation : sum * lone;
  finish_channel(norm, c, sum, product, true);
  if (!to) return;
  const PlaneGradient gradient(x, a, center, norm.inverse_deviation[c], sum, product, norm.training, size);
  if (keep) gradient.write(to, [&](std::int64_t k) { return load(g + k); }, [&](std::int64_t k) { return g[k]; });
  else gradient.write(to, masked, masked_one);
}

}  // namespace easting::EASTING_VARIANT
