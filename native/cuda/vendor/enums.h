// Values of NVIDIA's enumerations, as cusparse.h, cublas_api.h and library_types.h number them.
#pragma once

namespace easting::cuda::enums {

// cudaDataType
template <class Real>
inline constexpr int real_type = sizeof(Real) == 4 ? 0 : 1;  // CUDA_R_32F, CUDA_R_64F
// libraryPropertyType
inline constexpr int major_version = 0, minor_version = 1, patch_level = 2;
// cusparseStatus_t, cublasStatus_t
inline constexpr int success = 0, invalid_value = 3, cublas_invalid_value = 7;
// cusparseOperation_t, cublasOperation_t
inline constexpr int as_it_is = 0, transposed = 1;
// cusparseOrder_t
inline constexpr int row_major = 2;
// cusparseIndexType_t, cusparseIndexBase_t
inline constexpr int index_32i = 2, base_zero = 0;
// cusparseSpMMAlg_t, cusparseSDDMMAlg_t: CUSPARSE_SPMM_CSR_ALG3 is the one of CSR that always gives the same bits
inline constexpr int csr_alg3 = 12, sddmm_default = 0;
// cublasComputeType_t: CUBLAS_COMPUTE_32F, which takes no TF32, and CUBLAS_COMPUTE_64F
template <class Real>
inline constexpr int compute_in = sizeof(Real) == 4 ? 68 : 70;
// cublasGemmAlgo_t
inline constexpr int gemm_default = -1;

}  // namespace easting::cuda::enums
