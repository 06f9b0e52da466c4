#include "../../kernels.h"

#include <cmath>

#include "../launch.cuh"
#include "../sums.cuh"

// Nobody on the host sees the labels: one that is not a row of the logits makes the loss NaN, and is never right.
namespace easting::EASTING_VARIANT {
namespace {

using cuda::Grid, cuda::launch;

constexpr int images = 32, groups = 32;  // a block's images, and the groups of classes that share out each of them

Grid image_blocks(std::int64_t n) {
  return {dim3(static_cast<unsigned>((n + images - 1) / images)), dim3(images, groups)};
}

// Combines what the groups have of this thread's image, in order, into what all of them receive. All must call.
template <class T, class F>
__device__ T over_groups(T value, F combine) {
  __shared__ T parts[groups][images];
  __syncthreads();  // what the call before this one wrote has been read
  parts[threadIdx.y][threadIdx.x] = value;
  __syncthreads();
  T result = parts[0][threadIdx.x];
  for (int group = 1; group < groups; ++group) result = combine(result, parts[group][threadIdx.x]);
  return result;
}

struct Larger {
  __device__ Real operator()(Real a, Real b) const { return b > a ? b : a; }
};
struct Plus {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a + b;
  }
};

// The formula stands in native/cpu/kernels/loss.cc.
__global__ void losses_of(In<Real> logits, In<std::int32_t> labels, std::int32_t classes, double smoothing,
                          double* losses, Out<Real> probabilities) {
  const std::int64_t n = labels.size, image = std::int64_t{blockIdx.x} * images + threadIdx.x;
  const bool inside = image < n;
  const std::int64_t k = inside ? image : n - 1;  // threads beyond the end come along to the barriers
  const auto group = static_cast<std::int32_t>(threadIdx.y);
  Real top = logits[k];
  for (std::int32_t c = group; c < classes; c += groups) top = Larger{}(top, logits[c * n + k]);
  top = over_groups(top, Larger{});
  double total = 0, shifted = 0;
  for (std::int32_t c = group; c < classes; c += groups) {
    const Real z = logits[c * n + k] - top;
    total += static_cast<double>(std::exp(z));
    shifted += static_cast<double>(z);
  }
  total = over_groups(total, Plus{});
  if (smoothing > 0) shifted = over_groups(shifted, Plus{});
  if (!inside) return;
  if (group == 0) {
    const std::int32_t label = labels[k];
    const bool known = label >= 0 && label < classes;
    const double log_total = std::log(total);
    const double z = known ? static_cast<double>(logits[label * n + k]) - static_cast<double>(top) : std::nan("");
    losses[k] = (1 - smoothing) * (log_total - z);
    if (smoothing > 0) losses[k] += smoothing * (log_total - shifted / classes);
  }
  if (!probabilities) return;
  for (std::int32_t c = group; c < classes; c += groups)
    probabilities[c * n + k] = static_cast<Real>(static_cast<double>(std::exp(logits[c * n + k] - top)) / total);
}

__global__ void mean_of(const double* losses, std::int64_t n, Out<Real> loss) {
  double total = 0;
  for (std::int64_t k = threadIdx.x; k < n; k += cuda::threads_per_block) total += losses[k];
  total = cuda::block_sum<cuda::threads_per_block>(total);
  if (threadIdx.x == 0) loss[0] = static_cast<Real>(total / static_cast<double>(n));
}

__global__ void logit_gradients(In<Real> probabilities, In<std::int32_t> labels, In<Real> dloss, Real hit, Real shared,
                                Out<Real> dlogits, bool accumulate) {
  const std::int64_t n = labels.size;
  const Real factor = dloss[0] / static_cast<Real>(n);
  EASTING_EACH(i, dlogits.size) {
    const Real value = factor * (probabilities[i] - (labels[i % n] == i / n ? hit : Real(0)) - shared);
    dlogits[i] = accumulate ? dlogits[i] + value : value;
  }
}

__global__ void count_right(In<Real> logits, In<std::int32_t> labels, std::int32_t classes, std::int32_t top,
                            Out<std::int32_t> correct) {
  const std::int64_t n = labels.size, image = std::int64_t{blockIdx.x} * images + threadIdx.x;
  const std::int32_t label = image < n ? labels[image] : -1;
  const bool known = label >= 0 && label < classes;
  const Real own = known ? logits[label * n + image] : Real(0);
  std::int32_t before = 0;
  for (auto c = static_cast<std::int32_t>(threadIdx.y); known && c < classes; c += groups) {
    const Real x = logits[c * n + image];
    before += !(x <= own) || (x == own && c < label);
  }
  before = over_groups(before, Plus{});
  if (threadIdx.y == 0 && known && before < top && own == own) atomicAdd(&correct[0], 1);
}

}  // namespace

void cross_entropy_forward(In<Real> logits, In<std::int32_t> labels, std::int32_t classes, double smoothing,
                           Out<Real> loss, Out<Real> probabilities) {
  auto* losses = static_cast<double*>(cuda::scratch(0, labels.size * sizeof(double)));
  launch(losses_of, image_blocks(labels.size), logits, labels, classes, smoothing, losses, probabilities);
  launch(mean_of, Grid{}, losses, labels.size, loss);
}

void cross_entropy_backward(In<Real> probabilities, In<std::int32_t> labels, In<Real> dloss, std::int32_t classes,
                            double smoothing, Out<Real> dlogits, bool accumulate) {
  const Real hit = static_cast<Real>(1 - smoothing), shared = static_cast<Real>(smoothing / classes);
  launch(logit_gradients, dlogits.size, probabilities, labels, dloss, hit, shared, dlogits, accumulate);
}

void count_correct(In<Real> logits, In<std::int32_t> labels, std::int32_t classes, std::int32_t top,
                   Out<std::int32_t> correct) {
  cuda::check(cudaMemsetAsync(correct.data, 0, sizeof(std::int32_t), cuda::stream()), "cudaMemsetAsync");
  launch(count_right, image_blocks(labels.size), logits, labels, classes, top, correct);
}

}  // namespace easting::EASTING_VARIANT
