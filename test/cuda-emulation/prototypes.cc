// Compiles only if native/cuda/vendor declares NVIDIA's functions and numbers their enumerations as NVIDIA's headers do.
#include <cublas_v2.h>
#include <cusparse.h>

#include <cstdint>
#include <type_traits>

#include "cuda/vendor/enums.h"

// What is an enumeration there is an int here; pointers need only be pointers.
template <class There, class Here>
constexpr bool alike = std::is_same_v<There, Here> || (std::is_pointer_v<There> && std::is_pointer_v<Here>) ||
                       (std::is_enum_v<There> && std::is_same_v<Here, int> && sizeof(There) == sizeof(int));
template <class There, class Here>
constexpr bool same = false;
template <class R, class... A, class S, class... B>
  requires(sizeof...(A) == sizeof...(B))
constexpr bool same<R (*)(A...), S (*)(B...)> = alike<R, S> && (alike<A, B> && ...);

namespace picked {
// C++ has a second one with another type of compute_type.
using GemmEx = cublasStatus_t (*)(cublasHandle_t, cublasOperation_t, cublasOperation_t, int, int, int, const void*,
                                  const void*, cudaDataType, int, const void*, cudaDataType, int, const void*, void*,
                                  cudaDataType, int, cublasComputeType_t, cublasGemmAlgo_t);
constexpr GemmEx cublasGemmEx = ::cublasGemmEx;
#define FUNCTION(result, name, arguments) static_assert(same<decltype(+name), result(*) arguments>, #name);
#include "cuda/vendor/cublas.def"
#include "cuda/vendor/cusparse.def"
}  // namespace picked

using namespace easting::cuda::enums;
static_assert(real_type<float> == CUDA_R_32F && real_type<double> == CUDA_R_64F);
static_assert(major_version == MAJOR_VERSION && minor_version == MINOR_VERSION && patch_level == PATCH_LEVEL);
static_assert(success == CUSPARSE_STATUS_SUCCESS && success == CUBLAS_STATUS_SUCCESS);
static_assert(invalid_value == CUSPARSE_STATUS_INVALID_VALUE && cublas_invalid_value == CUBLAS_STATUS_INVALID_VALUE);
static_assert(as_it_is == CUSPARSE_OPERATION_NON_TRANSPOSE && transposed == CUSPARSE_OPERATION_TRANSPOSE);
static_assert(as_it_is == CUBLAS_OP_N && transposed == CUBLAS_OP_T);
static_assert(row_major == CUSPARSE_ORDER_ROW && index_32i == CUSPARSE_INDEX_32I && base_zero == CUSPARSE_INDEX_BASE_ZERO);
static_assert(csr_alg3 == CUSPARSE_SPMM_CSR_ALG3 && sddmm_default == CUSPARSE_SDDMM_ALG_DEFAULT);
static_assert(compute_in<float> == CUBLAS_COMPUTE_32F && compute_in<double> == CUBLAS_COMPUTE_64F);
static_assert(gemm_default == CUBLAS_GEMM_DEFAULT);
