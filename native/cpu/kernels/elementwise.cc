#include "../../kernels.h"
#include "../vector.h"

#include "../../elementwise.h"
#include "../each.h"

namespace easting::EASTING_VARIANT {

void fill(Out<Real> y, double value) {
  const Real v = static_cast<Real>(value);
  write_each(y, false, [=](std::int64_t) { return v; });
}

void copy(In<Real> x, Out<Real> y, bool accumulate) {
  write_each(y, accumulate, [=](std::int64_t i) { return x[i]; });
}

void add(In<Real> a, In<Real> b, Out<Real> y) {
  write_each(y, false, [=](std::int64_t i) { return elementwise::Add<Real>{}(a[i], b[i]); });
}

void multiply(In<Real> a, In<Real> b, Out<Real> y, bool accumulate) {
  write_each(y, accumulate, [=](std::int64_t i) { return elementwise::Multiply<Real>{}(a[i], b[i]); });
}

void scale(In<Real> x, double factor, Out<Real> y, bool accumulate) {
  const elementwise::Scale<Real> f{static_cast<Real>(factor)};
  write_each(y, accumulate, [=](std::int64_t i) { return f(x[i]); });
}

void relu_forward(In<Real> x, Out<Real> y) {
  write_each(y, false, [=](std::int64_t i) { return elementwise::Relu<Real>{}(x[i]); });
}

void relu_backward(In<Real> y, In<Real> dy, Out<Real> dx, bool accumulate) {
  write_each(dx, accumulate, [=](std::int64_t i) { return elementwise::ReluGradient<Real>{}(y[i], dy[i]); });
}

}  // namespace easting::EASTING_VARIANT
