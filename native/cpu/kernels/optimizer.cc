#include "../../kernels.h"
#include "../vector.h"

#include <cmath>

#include "../each.h"

namespace easting::EASTING_VARIANT {

// The factor that brings the global L2 norm of all gradients down to `maximum`, as PyTorch's clip_grad_norm_.
void clip_factor(In<Real> sums_of_squares, double maximum, Out<Real> factor) {
  double total = 0;
  for (std::int64_t i = 0; i < sums_of_squares.size; ++i) total += static_cast<double>(sums_of_squares[i]);
  const double f = maximum / (std::sqrt(total) + 1e-6);
  factor[0] = static_cast<Real>(f > 1 ? 1 : f);  // NaN passes
}

// g = scale gradient + weight_decay w; v = momentum v + g; w -= learning_rate (nesterov ? g + momentum v : v).
void sgd_step(List<SgdTensor<Real>> tensors, In<Real> gradient_scale, In<double> schedule, double momentum,
              double weight_decay, bool nesterov) {
  const Real scale = gradient_scale ? gradient_scale[0] : Real(1);
  const Real rate = static_cast<Real>(schedule[0]), m = static_cast<Real>(momentum);
  const Real decay = static_cast<Real>(weight_decay);
  for (const auto& [weight, gradient, velocity] : tensors) {
    if (momentum == 0) {
      each(weight.size, [=](std::int64_t i) { weight[i] -= rate * (scale * gradient[i] + decay * weight[i]); });
      continue;
    }
    each(weight.size, [=](std::int64_t i) {
      const Real g = scale * gradient[i] + decay * weight[i];
      const Real v = m * velocity[i] + g;
      velocity[i] = v;
      weight[i] -= rate * (nesterov ? g + m * v : v);
    });
  }
}

// Adam (Kingma & Ba, ICLR 2015) with weight decay added to the gradient.
void adam_step(List<AdamTensor<Real>> tensors, In<Real> gradient_scale, In<double> schedule, double beta1, double beta2,
               double epsilon, double weight_decay) {
  const Real scale = gradient_scale ? gradient_scale[0] : Real(1);
  const Real decay = static_cast<Real>(weight_decay), small = static_cast<Real>(epsilon);
  const Real b1 = static_cast<Real>(beta1), rest1 = static_cast<Real>(1 - beta1);
  const Real b2 = static_cast<Real>(beta2), rest2 = static_cast<Real>(1 - beta2);
  const Real rate = static_cast<Real>(schedule[0] / (1 - std::pow(beta1, schedule[1])));
  const Real correction = static_cast<Real>(1 / std::sqrt(1 - std::pow(beta2, schedule[1])));
  for (const auto& [weight, gradient, first, second] : tensors)
    each(weight.size, [=](std::int64_t i) {
      const Real g = scale * gradient[i] + decay * weight[i];
      const Real m = b1 * first[i] + rest1 * g, v = b2 * second[i] + rest2 * g * g;
      first[i] = m;
      second[i] = v;
      weight[i] -= rate * m / (std::sqrt(v) * correction + small);
    });
}

}  // namespace easting::EASTING_VARIANT
