// Interim: kernels still to be written.
#include "../../kernels.h"
#include <stdexcept>
namespace easting::EASTING_VARIANT {
#define MISSING(name, arguments) __attribute__((weak)) void name arguments { throw std::runtime_error(#name ": expected a CUDA kernel, got none yet"); }
MISSING(sparse_conv_forward, (In<Stored>, In<int32_t>, In<Real>, In<Real>, In<Real>, In<Real>, In<Real>, In<Real>, In<int32_t>, In<int32_t>, ConvShape, In<int32_t>, Out<Stored>, Out<int32_t>, BatchNormForward<Stored>))
MISSING(sparse_conv_backward, (In<Stored>, In<int32_t>, In<Real>, In<Stored>, In<int32_t>, In<Real>, In<int32_t>, In<int32_t>, In<int32_t>, ConvShape, Out<Stored>, Out<int32_t>, Out<Real>, bool, Out<Real>, bool, BatchNormBackward<Stored>))
MISSING(sparse_conv_backward_normalized, (In<Stored>, In<int32_t>, In<Real>, In<Real>, In<Real>, In<Real>, bool, In<Stored>, In<int32_t>, In<Real>, In<int32_t>, In<int32_t>, In<int32_t>, ConvShape, Out<Stored>, Out<Real>, Out<Real>, bool, Out<Real>, bool))
MISSING(dense_conv_forward, (In<Stored>, In<Real>, ConvShape, Out<Stored>))
MISSING(dense_conv_backward_data, (In<Stored>, In<Real>, ConvShape, Out<Stored>, bool))
MISSING(dense_conv_backward_weight, (In<Stored>, In<int32_t>, In<Real>, In<Real>, In<Real>, In<Real>, In<Real>, In<Stored>, In<int32_t>, In<int32_t>, ConvShape, In<Real>, Out<Real>, bool))
MISSING(dct_conv_forward, (In<Real>, ConvShape, Out<Real>))
MISSING(dct_conv_backward, (In<Real>, ConvShape, Out<Real>, bool))
MISSING(cross_entropy_forward, (In<Real>, In<int32_t>, int32_t, double, Out<Real>, Out<Real>))
MISSING(cross_entropy_backward, (In<Real>, In<int32_t>, In<Real>, int32_t, double, Out<Real>, bool))
MISSING(count_correct, (In<Real>, In<int32_t>, int32_t, int32_t, Out<int32_t>))
MISSING(clip_factor, (In<Real>, double, Out<Real>))
MISSING(sgd_step, (List<SgdTensor<Real>>, In<Real>, In<double>, double, double, bool))
MISSING(adam_step, (List<AdamTensor<Real>>, In<Real>, In<double>, double, double, double, double))
MISSING(top_k, (In<Real>, In<int32_t>, In<int32_t>, RandomKey, Out<int32_t>))
MISSING(augment, (In<uint8_t>, In<int32_t>, In<Real>, In<Real>, ConvShape, bool, bool, bool, RandomKey, Out<Stored>))
}
