#include "../../kernels.h"
#include "../vector.h"

#include <cmath>
#include <stdexcept>

namespace easting::EASTING_VARIANT {
namespace {

constexpr std::int64_t images_per_task = 64;

void check_labels(In<std::int32_t> labels, std::int32_t classes) {
  for (std::int64_t k = 0; k < labels.size; ++k)
    if (labels[k] < 0 || labels[k] >= classes)
      throw std::invalid_argument("labels: expected every label to be a row of the logits, got one that is not");
}

template <class F>
void each_block(std::int64_t n, std::int64_t work, F f) {
  parallel_for((n + images_per_task - 1) / images_per_task, work >= parallel_threshold / 8, [=](std::int64_t task) {
    const std::int64_t begin = task * images_per_task;
    f(begin, begin + images_per_task < n ? begin + images_per_task : n);
  });
}

}  // namespace

// With z = logits - their maximum and L = log Σ exp z: -log p_c = L - z_c, so an image's loss is
// (1 - smoothing) (L - z_label) + smoothing (L - mean of z).
void cross_entropy_forward(In<Real> logits, In<std::int32_t> labels, std::int32_t classes, double smoothing,
                           Out<Real> loss, Out<Real> probabilities) {
  check_labels(labels, classes);
  const std::int64_t n = labels.size;
  double* losses = static_cast<double*>(scratch(0, n * sizeof(double)));
  Real* p = probabilities ? probabilities.data : static_cast<Real*>(scratch(1, logits.size * sizeof(Real)));
  each_block(n, logits.size, [=](std::int64_t begin, std::int64_t end) {
    Real top[images_per_task];
    double total[images_per_task], shifted[images_per_task];
    for (std::int64_t k = begin; k < end; ++k) {
      top[k - begin] = logits[k];
      total[k - begin] = shifted[k - begin] = 0;
    }
    for (std::int64_t c = 1; c < classes; ++c)
      for (std::int64_t k = begin; k < end; ++k) {
        const Real x = logits[c * n + k];
        top[k - begin] = x > top[k - begin] ? x : top[k - begin];
      }
    for (std::int64_t c = 0; c < classes; ++c)
      for (std::int64_t k = begin; k < end; ++k) {
        const Real z = logits[c * n + k] - top[k - begin], e = std::exp(z);
        p[c * n + k] = e;
        total[k - begin] += static_cast<double>(e);
        shifted[k - begin] += static_cast<double>(z);
      }
    for (std::int64_t k = begin; k < end; ++k) {
      const double log_total = std::log(total[k - begin]);
      const double z = static_cast<double>(logits[labels[k] * n + k]) - static_cast<double>(top[k - begin]);
      losses[k] = (1 - smoothing) * (log_total - z);
      if (smoothing > 0) losses[k] += smoothing * (log_total - shifted[k - begin] / classes);
    }
    if (!probabilities) return;
    for (std::int64_t c = 0; c < classes; ++c)
      for (std::int64_t k = begin; k < end; ++k)
        p[c * n + k] = static_cast<Real>(static_cast<double>(p[c * n + k]) / total[k - begin]);
  });
  double total = 0;
  for (std::int64_t k = 0; k < n; ++k) total += losses[k];
  loss[0] = static_cast<Real>(total / static_cast<double>(n));
}

void cross_entropy_backward(In<Real> probabilities, In<std::int32_t> labels, In<Real> dloss, std::int32_t classes,
                            double smoothing, Out<Real> dlogits, bool accumulate) {
  const std::int64_t n = labels.size;
  const Real factor = dloss[0] / static_cast<Real>(n);
  const Real hit = static_cast<Real>(1 - smoothing), shared = static_cast<Real>(smoothing / classes);
  parallel_for(classes, dlogits.size >= parallel_threshold, [=](std::int64_t c) {
    const Real* p = probabilities.data + c * n;
    Real* to = dlogits.data + c * n;
#pragma GCC ivdep
    for (std::int64_t k = 0; k < n; ++k) {
      const Real value = factor * (p[k] - (labels[k] == c ? hit : Real(0)) - shared);
      to[k] = accumulate ? to[k] + value : value;
    }
  });
}

// A class stands before the label if its logit is larger, or equal with a lower index; NaN stands before everything,
// and a label whose own logit is NaN is never right.
void count_correct(In<Real> logits, In<std::int32_t> labels, std::int32_t classes, std::int32_t top,
                   Out<std::int32_t> correct) {
  check_labels(labels, classes);
  const std::int64_t n = labels.size;
  std::int32_t right = 0;
  for (std::int64_t k = 0; k < n; ++k) {
    const std::int64_t label = labels[k];
    const Real own = logits[label * n + k];
    std::int32_t before = 0;
    for (std::int64_t c = 0; c < classes; ++c) {
      const Real x = logits[c * n + k];
      before += !(x <= own) || (x == own && c < label);
    }
    right += before < top && own == own;
  }
  correct[0] = right;
}

}  // namespace easting::EASTING_VARIANT
