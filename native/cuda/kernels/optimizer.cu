#include "../../kernels.h"

#include <cmath>

#include "../launch.cuh"
#include "../tensors.cuh"

namespace easting::EASTING_VARIANT {
namespace {

using cuda::Grid;
using cuda::launch;
constexpr int threads = cuda::threads_per_block;
constexpr std::int64_t chunk = 4 * threads;

__global__ void norm_factor(In<Real> sums_of_squares, double maximum, Out<Real> factor) {
  double total = 0;
  for (std::int64_t i = 0; i < sums_of_squares.size; ++i) total += static_cast<double>(sums_of_squares[i]);
  const double f = maximum / (std::sqrt(total) + 1e-6);
  factor[0] = static_cast<Real>(f > 1 ? 1 : f);  // NaN passes
}

// f(tensor, i) for the elements of this block's chunk.
template <class Item, class F>
__device__ void each_element(const cuda::Tensors<Item>& tensors, F f) {
  const auto [at, number] = tensors.find(blockIdx.x);
  const Item item = tensors.items[at];
  const std::int64_t begin = number * chunk, end = begin + chunk < item.weight.size ? begin + chunk : item.weight.size;
  for (std::int64_t i = begin + threadIdx.x; i < end; i += threads) f(item, i);
}

struct SgdSettings {
  Real momentum, weight_decay;
  bool nesterov;
};

// g = scale gradient + weight_decay w; v = momentum v + g; w -= learning_rate (nesterov ? g + momentum v : v).
__global__ void sgd(cuda::Tensors<SgdTensor<Real>> tensors, In<Real> gradient_scale, In<double> schedule,
                    SgdSettings settings) {
  const Real scale = gradient_scale ? gradient_scale[0] : Real(1), rate = static_cast<Real>(schedule[0]);
  const Real m = settings.momentum;
  each_element(tensors, [&](const SgdTensor<Real>& t, std::int64_t i) {
    const Real g = scale * t.gradient[i] + settings.weight_decay * t.weight[i];
    if (m == 0) {
      t.weight[i] -= rate * g;
      return;
    }
    const Real v = m * t.velocity[i] + g;
    t.velocity[i] = v;
    t.weight[i] -= rate * (settings.nesterov ? g + m * v : v);
  });
}

struct AdamSettings {
  double beta1, beta2;
  Real epsilon, weight_decay;
};

// Adam (Kingma and Ba, ICLR 2015) with weight decay added to the gradient.
__global__ void adam(cuda::Tensors<AdamTensor<Real>> tensors, In<Real> gradient_scale, In<double> schedule,
                     AdamSettings settings) {
  const Real scale = gradient_scale ? gradient_scale[0] : Real(1);
  const Real b1 = static_cast<Real>(settings.beta1), rest1 = static_cast<Real>(1 - settings.beta1);
  const Real b2 = static_cast<Real>(settings.beta2), rest2 = static_cast<Real>(1 - settings.beta2);
  const Real rate = static_cast<Real>(schedule[0] / (1 - std::pow(settings.beta1, schedule[1])));
  const Real correction = static_cast<Real>(1 / std::sqrt(1 - std::pow(settings.beta2, schedule[1])));
  each_element(tensors, [&](const AdamTensor<Real>& t, std::int64_t i) {
    const Real g = scale * t.gradient[i] + settings.weight_decay * t.weight[i];
    const Real m = b1 * t.first[i] + rest1 * g, v = b2 * t.second[i] + rest2 * g * g;
    t.first[i] = m;
    t.second[i] = v;
    t.weight[i] -= rate * m / (std::sqrt(v) * correction + settings.epsilon);
  });
}

template <class Item, class Settings>
void update(void (*kernel)(cuda::Tensors<Item>, In<Real>, In<double>, Settings), const List<Item>& list,
            In<Real> gradient_scale, In<double> schedule, Settings settings) {
  cuda::each_group(list, chunk, [](const Item& item) { return item.weight.size; },
                   [&](const cuda::Tensors<Item>& tensors, unsigned blocks, std::size_t) {
                     launch(kernel, Grid{dim3(blocks)}, tensors, gradient_scale, schedule, settings);
                   });
}

}  // namespace

void clip_factor(In<Real> sums_of_squares, double maximum, Out<Real> factor) {
  launch(norm_factor, Grid{dim3(1), dim3(1)}, sums_of_squares, maximum, factor);
}

void sgd_step(List<SgdTensor<Real>> tensors, In<Real> gradient_scale, In<double> schedule, double momentum,
              double weight_decay, bool nesterov) {
  const SgdSettings settings{static_cast<Real>(momentum), static_cast<Real>(weight_decay), nesterov};
  update(sgd, tensors, gradient_scale, schedule, settings);
}

void adam_step(List<AdamTensor<Real>> tensors, In<Real> gradient_scale, In<double> schedule, double beta1, double beta2,
               double epsilon, double weight_decay) {
  const AdamSettings settings{beta1, beta2, static_cast<Real>(epsilon), static_cast<Real>(weight_decay)};
  update(adam, tensors, gradient_scale, schedule, settings);
}

}  // namespace easting::EASTING_VARIANT
