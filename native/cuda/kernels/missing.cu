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
}
