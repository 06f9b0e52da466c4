#include "../../kernels.h"
#include "../vector.h"

#include <cmath>

#include "../../elementwise.h"
#include "../each.h"
#include "../period.h"

// DyReLU-B (Chen et al., "Dynamic ReLU", ECCV 2020). With delta = 2 sigmoid(u) - 1 and the phase beta the coefficients
// are a1 = 1 + beta delta, a2 = beta delta, b1, b2 = beta delta / 2. Blending outputs, beta max_k(a_k x + b_k) +
// (1 - beta) max(0, x), is the same with a1 = beta + beta delta and the ReLU added, as beta > 0 may enter the maximum.
// At beta <= 0 it is a true ReLU, derivative 0 at 0.
namespace easting::EASTING_VARIANT {
namespace {

constexpr int coefficients = 4;

// 2 sigmoid(u) - 1 = (1 - e) / (1 + e) with e = exp(-|u|), in operations that the compiler can vectorise: exp by
// reduction to 2^k exp(r), |r| <= ln(2) / 2, and the Taylor series to r^7 (relative error below 1e-8).
inline float delta_of(float u) {
  const float negative = u < 0 ? u : -u;
  const float z = negative < -87.0f ? -87.0f : negative;
  const std::int32_t k = static_cast<std::int32_t>(z * 1.44269504f - 0.5f);
  const float whole = static_cast<float>(k);
  const float r = (z - whole * 0.693359375f) + whole * 2.12194440e-4f;  // ln(2) in two parts
  float e = 1.0f / 5040;
  e = e * r + 1.0f / 720;
  e = e * r + 1.0f / 120;
  e = e * r + 1.0f / 24;
  e = e * r + 1.0f / 6;
  e = e * r + 0.5f;
  e = e * r + 1.0f;
  e = e * r + 1.0f;
  e *= __builtin_bit_cast(float, (static_cast<std::uint32_t>(k) + 127u) << 23);
  const float delta = (1.0f - e) / (1.0f + e);
  return u < 0 ? -delta : delta;
}
inline double delta_of(double u) { return std::tanh(u / 2); }

struct Phase {
  Real beta, identity, relu;  // delta's weight in a1 and a2, the constant part of a1, the ReLU's weight
  Phase(double b, bool blend_outputs)
      : beta(static_cast<Real>(b)),
        identity(static_cast<Real>(blend_outputs ? b : 1)),
        relu(static_cast<Real>(blend_outputs ? 1 - b : 0)) {}
  Real slope(int q) const { return q < 2 ? beta : beta / 2; }
  Real constant(int q) const { return q == 0 ? identity : Real(0); }
};

void delta_rows(const Real* u, std::int64_t batch, Real* delta) {
#pragma GCC ivdep
  for (std::int64_t j = 0; j < coefficients * batch; ++j) delta[j] = delta_of(u[j]);
}

// One channel's coefficients per image, each repeated to a row: row[q * length + j].
void coefficient_rows(const Real* delta, std::int64_t batch, std::int64_t length, Phase phase, Real* row) {
  const Real *a2 = delta + batch, *b1 = a2 + batch, *b2 = b1 + batch;
  for (int q = 0; q < coefficients; ++q, row += length, delta += batch) {
    const Real slope = phase.slope(q), constant = phase.constant(q);
    for (std::int64_t j = 0; j < batch; ++j) row[j] = constant + slope * delta[j];
    // A NaN in any coefficient reaches a1 and, by the order of the comparisons below, the output.
    if (q == 0)
      for (std::int64_t j = 0; j < batch; ++j) row[j] += 0 * (a2[j] + b1[j] + b2[j]);
    repeat(row, batch, length);
  }
}

template <bool with_relu>
void forward_row(const Stored* x, const Real* row, std::int64_t length, std::int64_t count, Real relu, Stored* y) {
  const Real *a1 = row, *a2 = a1 + length, *b1 = a2 + length, *b2 = b1 + length;
#pragma GCC ivdep
  for (std::int64_t j = 0; j < count; ++j) {
    const Real first = a1[j] * x[j] + b1[j], second = a2[j] * x[j] + b2[j];
    const Real best = first < second ? second : first;
    y[j] = with_relu ? best + relu * elementwise::Relu<Real>{}(x[j]) : best;
  }
}

// dx of one row, which may be dy; adds to `part` (da1, da2, db1, db2) what the winners receive.
template <bool with_relu>
void backward_row(const Stored* x, const Stored* dy, const Real* row, std::int64_t length, std::int64_t count, Real relu,
                  Stored* dx, Real* part) {
  const Real *a1 = row, *a2 = a1 + length, *b1 = a2 + length, *b2 = b1 + length;
  Real *da1 = part, *da2 = da1 + length, *db1 = da2 + length, *db2 = db1 + length;
  const auto add = [](Real* to, Vector v) { store(to, load(to) + v); };
  const Vector none{}, relus = broadcast_value(relu);
  std::int64_t j = 0;
  for (; j + lanes <= count; j += lanes) {
    const Vector v = load(x + j), g = load(dy + j), gv = g * v, slope1 = load(a1 + j), slope2 = load(a2 + j);
    const auto second = slope1 * v + load(b1 + j) < slope2 * v + load(b2 + j);
    add(da1 + j, second ? none : gv);
    add(da2 + j, second ? gv : none);
    add(db1 + j, second ? none : g);
    add(db2 + j, second ? g : none);
    Vector slope = second ? slope2 : slope1;
    if constexpr (with_relu) slope += v > none ? relus : none;
    store(dx + j, slope * g);
  }
  for (; j < count; ++j) {
    const Real v = x[j], g = dy[j];
    const bool second = a1[j] * v + b1[j] < a2[j] * v + b2[j];
    (second ? da2 : da1)[j] += g * v;
    (second ? db2 : db1)[j] += g;
    Real slope = second ? a2[j] : a1[j];
    if constexpr (with_relu) slope += v > Real(0) ? relu : Real(0);
    dx[j] = slope * g;
  }
}

}  // namespace

void dyrelu_forward(In<Stored> x, In<Real> u, std::int32_t channels, std::int32_t batch, In<double> phase_out,
                    bool blend_outputs, Out<Stored> y) {
  const double beta = phase_out[0];
  if (beta <= 0) return relu_forward(x, y);
  const Phase phase(beta, blend_outputs);
  const auto kernel = blend_outputs && beta < 1 ? forward_row<true> : forward_row<false>;
  const std::int64_t plane = x.size / channels, length = row_length(batch, plane);
  parallel_for(channels, x.size >= parallel_threshold, [=](std::int64_t channel) {
    Real* row = static_cast<Real*>(scratch(0, coefficients * length * sizeof(Real)));
    Real* delta = static_cast<Real*>(scratch(1, coefficients * batch * sizeof(Real)));
    delta_rows(u.data + channel * coefficients * batch, batch, delta);
    coefficient_rows(delta, batch, length, phase, row);
    const std::int64_t end = (channel + 1) * plane;
    for (std::int64_t i = channel * plane; i < end; i += length)
      kernel(x.data + i, row, length, i + length < end ? length : end - i, phase.relu, y.data + i);
  });
}

void dyrelu_backward(In<Stored> x, In<Real> u, In<Stored> dy, std::int32_t channels, std::int32_t batch,
                     In<double> phase_out, bool blend_outputs, Out<Stored> dx, Out<Real> du) {
  const double beta = phase_out[0];
  if (beta <= 0) {
    relu_backward(x, dy, dx, false);
    return write_each(du, false, [](std::int64_t) { return Real(0); });
  }
  const Phase phase(beta, blend_outputs);
  const auto kernel = blend_outputs && beta < 1 ? backward_row<true> : backward_row<false>;
  const std::int64_t plane = x.size / channels, length = row_length(batch, plane);
  parallel_for(channels, x.size >= parallel_threshold, [=](std::int64_t channel) {
    double* total = static_cast<double*>(scratch(0, coefficients * batch * sizeof(double)));
    Real* row = static_cast<Real*>(scratch(1, coefficients * length * sizeof(Real)));
    Real* part = static_cast<Real*>(scratch(2, coefficients * length * sizeof(Real)));
    Real* delta = static_cast<Real*>(scratch(3, coefficients * batch * sizeof(Real)));
    delta_rows(u.data + channel * coefficients * batch, batch, delta);
    coefficient_rows(delta, batch, length, phase, row);
    for (std::int64_t j = 0; j < coefficients * batch; ++j) total[j] = 0;

    const std::int64_t end = (channel + 1) * plane, step = rows_per_fold * length;
    for (std::int64_t begin = channel * plane; begin < end; begin += step) {
      const std::int64_t stop = begin + step < end ? begin + step : end;
      for (std::int64_t j = 0; j < coefficients * length; ++j) part[j] = 0;
      for (std::int64_t i = begin; i < stop; i += length)
        kernel(x.data + i, dy.data + i, row, length, i + length < stop ? length : stop - i, phase.relu, dx.data + i,
               part);
      for (int q = 0; q < coefficients; ++q) fold(part + q * length, batch, length, total + q * batch);
    }
    Real* du_channel = du.data + channel * coefficients * batch;
    for (int q = 0; q < coefficients; ++q) {
      const Real slope = phase.slope(q) / 2;
      for (std::int64_t j = q * batch; j < (q + 1) * batch; ++j)
        du_channel[j] = slope * static_cast<Real>(total[j]) * (1 - delta[j] * delta[j]);
    }
  });
}

}  // namespace easting::EASTING_VARIANT
