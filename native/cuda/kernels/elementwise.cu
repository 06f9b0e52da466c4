#include "../../kernels.h"

#include "../../elementwise.h"
#include "../launch.cuh"

namespace easting::EASTING_VARIANT {
namespace {

using cuda::launch;

struct Same {
  __device__ Real operator()(Real x) const { return x; }
};

template <class F, class From, class To>
__global__ void unary(F f, In<From> x, Out<To> y, bool accumulate) {
  EASTING_EACH(i, y.size) {
    const Real value = f(x[i]);
    y[i] = accumulate ? y[i] + value : value;
  }
}

template <class F>
__global__ void binary(F f, In<Stored> a, In<Stored> b, Out<Stored> y, bool accumulate) {
  EASTING_EACH(i, y.size) {
    const Real value = f(a[i], b[i]);
    y[i] = accumulate ? y[i] + value : value;
  }
}

__global__ void constant(Out<Stored> y, Real value) {
  EASTING_EACH(i, y.size) y[i] = value;
}

}  // namespace

void fill(Out<Stored> y, double value) { launch(constant, y.size, y, static_cast<Real>(value)); }

void copy(In<Stored> x, Out<Stored> y, bool accumulate) {
  launch(unary<Same, Stored, Stored>, y.size, Same{}, x, y, accumulate);
}

void add(In<Stored> a, In<Stored> b, Out<Stored> y) {
  using F = elementwise::Add<Real>;
  launch(binary<F>, y.size, F{}, a, b, y, false);
}

void multiply(In<Stored> a, In<Stored> b, Out<Stored> y, bool accumulate) {
  using F = elementwise::Multiply<Real>;
  launch(binary<F>, y.size, F{}, a, b, y, accumulate);
}

void scale(In<Stored> x, double factor, Out<Stored> y, bool accumulate) {
  using F = elementwise::Scale<Real>;
  launch(unary<F, Stored, Stored>, y.size, F{static_cast<Real>(factor)}, x, y, accumulate);
}

void relu_forward(In<Stored> x, Out<Stored> y) {
  using F = elementwise::Relu<Real>;
  launch(unary<F, Stored, Stored>, y.size, F{}, x, y, false);
}

void relu_backward(In<Stored> y, In<Stored> dy, Out<Stored> dx, bool accumulate) {
  using F = elementwise::ReluGradient<Real>;
  launch(binary<F>, dx.size, F{}, y, dy, dx, accumulate);
}

void narrow(In<Real> x, Out<Stored> y, bool accumulate) {
  launch(unary<Same, Real, Stored>, y.size, Same{}, x, y, accumulate);
}

void widen(In<Stored> x, Out<Real> y, bool accumulate) {
  launch(unary<Same, Stored, Real>, y.size, Same{}, x, y, accumulate);
}

}  // namespace easting::EASTING_VARIANT
