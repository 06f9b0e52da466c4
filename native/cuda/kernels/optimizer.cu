#include "../../kernels.h"

#include <cmath>

#include "../launch.cuh"
#include "../sums.cuh"
#include "../tensor_list.cuh"

// The formulas stand in native/cpu/kernels/optimizer.cc.
namespace easting::EASTING_VARIANT {
namespace {

using cuda::Grid, cuda::launch;
using SgdBatch = cuda::TensorBatch<SgdTensor<Real>>;
using AdamBatch = cuda::TensorBatch<AdamTensor<Real>>;

constexpr int threads = cuda::threads_per_block;

__global__ void clip(In<Real> sums_of_squares, double maximum, Out<Real> factor) {
  double total = 0;
  for (std::int64_t i = threadIdx.x; i < sums_of_squares.size; i += threads) total += static_cast<double>(sums_of_squares[i]);
  const double f = maximum / (std::sqrt(cuda::block_sum<threads>(total)) + 1e-6);
  if (threadIdx.x == 0) factor[0] = static_cast<Real>(f > 1 ? 1 : f);  // NaN passes
}

// f(i) for this thread's elements of its block's chunk of `size` elements.
template <class F>
__device__ void each(std::int64_t begin, std::int64_t size, F f) {
  const std::int64_t end = begin + cuda::list_chunk < size ? begin + cuda::list_chunk : size;
  for (std::int64_t i = begin + threadIdx.x; i < end; i += threads) f(i);
}

struct Sgd {
  Real momentum, decay;
  bool nesterov;
};

__global__ void sgd(const __grid_constant__ SgdBatch batch, In<Real> gradient_scale, In<double> schedule, Sgd by) {
  const auto [tensor, begin] = batch.part();
  const auto [weight, gradient, velocity] = batch.tensors[tensor];
  const Real scale = gradient_scale ? gradient_scale[0] : Real(1), rate = static_cast<Real>(schedule[0]);
  each(begin, weight.size, [=](std::int64_t i) {
    const Real w = weight[i], g = scale * gradient[i] + by.decay * w;
    if (by.momentum == 0) {
      weight[i] = w - rate * g;
      return;
    }
    const Real v = by.momentum * velocity[i] + g;
    velocity[i] = v;
    weight[i] = w - rate * (by.nesterov ? g + by.momentum * v : v);
  });
}

struct Adam {
  double beta1, beta2;
  Real epsilon, decay;
};

__global__ void adam(const __grid_constant__ AdamBatch batch, In<Real> gradient_scale, In<double> schedule, Adam by) {
  __shared__ Real rate, correction;
  if (threadIdx.x == 0) {
    rate = static_cast<Real>(schedule[0] / (1 - std::pow(by.beta1, schedule[1])));
    correction = static_cast<Real>(1 / std::sqrt(1 - std::pow(by.beta2, schedule[1])));
  }
  __syncthreads();
  const auto [tensor, begin] = batch.part();
  const auto [weight, gradient, first, second] = batch.tensors[tensor];
  const Real scale = gradient_scale ? gradient_scale[0] : Real(1);
  const Real b1 = static_cast<Real>(by.beta1), rest1 = static_cast<Real>(1 - by.beta1);
  const Real b2 = static_cast<Real>(by.beta2), rest2 = static_cast<Real>(1 - by.beta2);
  each(begin, weight.size, [=](std::int64_t i) {
    const Real w = weight[i], g = scale * gradient[i] + by.decay * w;
    const Real m = b1 * first[i] + rest1 * g, v = b2 * second[i] + rest2 * g * g;
    first[i] = m;
    second[i] = v;
    weight[i] = w - rate * m / (std::sqrt(v) * correction + by.epsilon);
  });
}

template <class Tensor, class By>
void step(void (*kernel)(cuda::TensorBatch<Tensor>, In<Real>, In<double>, By), const List<Tensor>& tensors,
          In<Real> gradient_scale, In<double> schedule, By by) {
  const auto size = [](const Tensor& tensor) { return tensor.weight.size; };
  cuda::in_batches(tensors, size, [=](const cuda::TensorBatch<Tensor>& batch, std::int64_t) {
    if (batch.chunks() == 0) return;
    launch(kernel, Grid{dim3(static_cast<unsigned>(batch.chunks()))}, batch, gradient_scale, schedule, by);
  });
}

}  // namespace

void clip_factor(In<Real> sums_of_squares, double maximum, Out<Real> factor) {
  launch(clip, Grid{}, sums_of_squares, maximum, factor);
}

void sgd_step(List<SgdTensor<Real>> tensors, In<Real> gradient_scale, In<double> schedule, double momentum,
              double weight_decay, bool nesterov) {
  step(sgd, tensors, gradient_scale, schedule,
       Sgd{static_cast<Real>(momentum), static_cast<Real>(weight_decay), nesterov});
}

void adam_step(List<AdamTensor<Real>> tensors, In<Real> gradient_scale, In<double> schedule, double beta1, double beta2,
               double epsilon, double weight_decay) {
  step(adam, tensors, gradient_scale, schedule,
       Adam{beta1, beta2, static_cast<Real>(epsilon), static_cast<Real>(weight_decay)});
}

}  // namespace easting::EASTING_VARIANT
