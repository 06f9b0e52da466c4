#include "../../kernels.h"
#include "../vector.h"

#include "../each.h"

namespace easting::EASTING_VARIANT {
namespace {

// Σ f(i) over [0, n), in chunks whose bounds depend on n alone and whose sums are added in order.
template <class FVector, class FReal>
double chunked_sum(std::int64_t n, FVector vector_at, FReal real_at) {
  constexpr std::int64_t chunk = 65536;
  const std::int64_t chunks = (n + chunk - 1) / chunk;
  double* partial = static_cast<double*>(scratch(0, chunks * sizeof(double)));
  parallel_for(chunks, n >= parallel_threshold, [=](std::int64_t task) {
    const std::int64_t begin = task * chunk;
    partial[task] = blocked_sum(
        begin + chunk < n ? chunk : n - begin, [=](std::int64_t i) { return vector_at(begin + i); },
        [=](std::int64_t i) { return real_at(begin + i); });
  });
  double total = 0;
  for (std::int64_t i = 0; i < chunks; ++i) total += partial[i];
  return total;
}

void put(Out<Real> y, double value, bool accumulate) {
  y[0] = static_cast<Real>(accumulate ? static_cast<double>(y[0]) + value : value);
}

}  // namespace

void sum(In<Real> x, double factor, Out<Real> y, bool accumulate) {
  const double total = chunked_sum(
      x.size, [=](std::int64_t i) { return load(x.data + i); }, [=](std::int64_t i) { return x[i]; });
  put(y, factor * total, accumulate);
}

void dot(In<Real> a, In<Real> b, Out<Real> y, bool accumulate) {
  const double total = chunked_sum(
      a.size, [=](std::int64_t i) { return load(a.data + i) * load(b.data + i); },
      [=](std::int64_t i) { return a[i] * b[i]; });
  put(y, total, accumulate);
}

void sum_of_squares(List<In<Real>> xs, Out<Real> y) {
  for (std::size_t at = 0; at < xs.size(); ++at) {
    const In<Real> x = xs[at];
    const double total = chunked_sum(
        x.size,
        [=](std::int64_t i) {
          const Vector v = load(x.data + i);
          return v * v;
        },
        [=](std::int64_t i) { return x[i] * x[i]; });
    y[static_cast<std::int64_t>(at)] = static_cast<Real>(total);
  }
}

void broadcast(In<Real> x, double factor, Out<Real> y, bool accumulate) {
  const Real value = static_cast<Real>(factor * static_cast<double>(x[0]));
  write_each(y, accumulate, [=](std::int64_t) { return value; });
}

void channel_sum(In<Real> x, std::int32_t channels, Out<Real> y, bool accumulate) {
  const std::int64_t inner = x.size / channels;
  parallel_for(channels, x.size >= parallel_threshold, [=](std::int64_t channel) {
    const Real* plane = x.data + channel * inner;
    const double total = blocked_sum(
        inner, [=](std::int64_t i) { return load(plane + i); }, [=](std::int64_t i) { return plane[i]; });
    put({y.data + channel, 1}, total, accumulate);
  });
}

void add_bias(In<Real> x, In<Real> bias, std::int32_t channels, Out<Real> y) {
  const std::int64_t inner = x.size / channels;
  parallel_for(channels, x.size >= parallel_threshold, [=](std::int64_t channel) {
    const Real* from = x.data + channel * inner;
    Real* to = y.data + channel * inner;
    const Real b = bias[channel];
#pragma GCC ivdep
    for (std::int64_t i = 0; i < inner; ++i) to[i] = from[i] + b;
  });
}

void scale_by(In<Real> x, In<Real> factor, Out<Real> y, bool accumulate) {
  const Real f = factor[0];
  write_each(y, accumulate, [=](std::int64_t i) { return f * x[i]; });
}

void gather(In<Real> x, In<std::int32_t> positions, Out<Real> y) {
  write_each(y, false, [=](std::int64_t j) { return positions[j] < 0 ? Real(0) : x[positions[j]]; });
}

void scatter(In<Real> x, In<std::int32_t> positions, Out<Real> y) {
  each(positions.size, [=](std::int64_t j) { y[positions[j]] = x[j]; });
}

}  // namespace easting::EASTING_VARIANT
