// One thread per image, images side by side: reads run along n. A label that is no row of the logits gives the loss NaN.
#include "../../kernels.h"

#include <cmath>

#include "../launch.cuh"
#include "../sums.cuh"

namespace easting::EASTING_VARIANT {
namespace {

using cuda::Grid;
using cuda::launch;
using cuda::scratch;

__global__ void image_losses(In<Real> logits, In<std::int32_t> labels, std::int32_t classes, double smoothing,
                             double* losses, Out<Real> probabilities) {
  EASTING_EACH(k, labels.size) {
    const std::int64_t n = labels.size;
    Real top = logits[k];
    for (std::int64_t c = 1; c < classes; ++c) top = logits[c * n + k] > top ? logits[c * n + k] : top;
    double total = 0, shifted = 0;
    for (std::int64_t c = 0; c < classes; ++c) {
      const Real z = logits[c * n + k] - top, e = std::exp(z);
      total += static_cast<double>(e);
      shifted += static_cast<double>(z);
      if (probabilities) probabilities[c * n + k] = e;
    }
    const double log_total = std::log(total);
    const std::int64_t label = labels[k];
    if (label < 0 || label >= classes) losses[k] = static_cast<double>(NAN);
    else losses[k] = (1 - smoothing) * (log_total - static_cast<double>(logits[label * n + k] - top));
    if (smoothing > 0) losses[k] += smoothing * (log_total - shifted / classes);
    for (std::int64_t c = 0; probabilities && c < classes; ++c)
      probabilities[c * n + k] = static_cast<Real>(static_cast<double>(probabilities[c * n + k]) / total);
  }
}

__global__ void mean_loss(const double* losses, std::int64_t n, Out<Real> loss) {
  double sum = 0;
  EASTING_EACH(k, n) sum += losses[k];
  sum = cuda::block_sum(sum);
  if (threadIdx.x == 0) loss[0] = static_cast<Real>(sum / static_cast<double>(n));
}

__global__ void logit_gradients(In<Real> probabilities, In<std::int32_t> labels, In<Real> dloss, Real hit, Real shared,
                                Out<Real> dlogits, bool accumulate) {
  EASTING_EACH(i, dlogits.size) {
    const std::int64_t n = labels.size, c = i / n;
    const Real factor = dloss[0] / static_cast<Real>(n);
    const Real value = factor * (probabilities[i] - (labels[i % n] == c ? hit : Real(0)) - shared);
    dlogits[i] = accumulate ? dlogits[i] + value : value;
  }
}

// As on the CPU: a larger logit stands before the label's, an equal one of a lower class, and NaN before everything.
__global__ void count_right(In<Real> logits, In<std::int32_t> labels, std::int32_t classes, std::int32_t top,
                            Out<std::int32_t> correct) {
  std::int32_t right = 0;
  EASTING_EACH(k, labels.size) {
    const std::int64_t n = labels.size, label = labels[k];
    if (label < 0 || label >= classes) continue;
    const Real own = logits[label * n + k];
    std::int32_t before = 0;
    for (std::int64_t c = 0; c < classes; ++c) {
      const Real x = logits[c * n + k];
      before += !(x <= own) || (x == own && c < label);
    }
    right += before < top && own == own;
  }
  right = cuda::block_sum(right);
  if (threadIdx.x == 0) correct[0] = right;
}

}  // namespace

void cross_entropy_forward(In<Real> logits, In<std::int32_t> labels, std::int32_t classes, double smoothing,
                           Out<Real> loss, Out<Real> probabilities) {
  double* losses = static_cast<double*>(scratch(0, labels.size * sizeof(double)));
  launch(image_losses, labels.size, logits, labels, classes, smoothing, losses, probabilities);
  launch(mean_loss, Grid{dim3(1)}, losses, labels.size, loss);
}

void cross_entropy_backward(In<Real> probabilities, In<std::int32_t> labels, In<Real> dloss, std::int32_t classes,
                            double smoothing, Out<Real> dlogits, bool accumulate) {
  const Real hit = static_cast<Real>(1 - smoothing), shared = static_cast<Real>(smoothing / classes);
  launch(logit_gradients, dlogits.size, probabilities, labels, dloss, hit, shared, dlogits, accumulate);
}

void count_correct(In<Real> logits, In<std::int32_t> labels, std::int32_t classes, std::int32_t top,
                   Out<std::int32_t> correct) {
  launch(count_right, Grid{dim3(1)}, logits, labels, classes, top, correct);
}

}  // namespace easting::EASTING_VARIANT
