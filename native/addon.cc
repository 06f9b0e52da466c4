// The module: devices, memory, host random numbers, and every kernel of kernels.def for "f32", "bf16" and "f64".
#include "binding.h"

#include <cstring>
#include <deque>
#include <map>
#include <memory>

#include "cpu/parallel.h"
#include "cpu/queue.h"
#include "inference/addon.h"
#include "random.h"
#ifdef EASTING_CUDA
#include "cuda/graph.h"
#include "cuda/runtime.h"
#include "cuda/vendor/library.h"
#endif

#define EASTING_VARIANT baseline_f32
#define EASTING_STORED float
#include "kernels.h"
#include "inference/kernels.h"
#undef EASTING_VARIANT
#undef EASTING_STORED
#define EASTING_VARIANT baseline_bf16
#define EASTING_STORED bfloat16
#include "kernels.h"
#undef EASTING_VARIANT
#undef EASTING_STORED
#define EASTING_VARIANT baseline_f64
#define EASTING_STORED double
#include "kernels.h"
#undef EASTING_VARIANT
#undef EASTING_STORED
#ifdef EASTING_HAS_X86_VARIANTS
#define EASTING_VARIANT avx2_f32
#define EASTING_STORED float
#include "kernels.h"
#include "inference/kernels.h"
#undef EASTING_VARIANT
#undef EASTING_STORED
#define EASTING_VARIANT avx512_f32
#define EASTING_STORED float
#include "kernels.h"
#include "inference/kernels.h"
#undef EASTING_VARIANT
#undef EASTING_STORED
#define EASTING_VARIANT avx2_bf16
#define EASTING_STORED bfloat16
#include "kernels.h"
#undef EASTING_VARIANT
#undef EASTING_STORED
#define EASTING_VARIANT avx512_bf16
#define EASTING_STORED bfloat16
#include "kernels.h"
#undef EASTING_VARIANT
#undef EASTING_STORED
#endif
#ifdef EASTING_CUDA
#define EASTING_VARIANT cuda_f32
#define EASTING_STORED float
#include "kernels.h"
#include "cuda/kernels.h"
#undef EASTING_VARIANT
#undef EASTING_STORED
#define EASTING_VARIANT cuda_bf16
#define EASTING_STORED bfloat16
#include "kernels.h"
#include "cuda/kernels.h"
#undef EASTING_VARIANT
#undef EASTING_STORED
#define EASTING_VARIANT cuda_f64
#define EASTING_STORED double
#include "kernels.h"
#include "cuda/kernels.h"
#undef EASTING_VARIANT
#undef EASTING_STORED
#endif

namespace easting {
namespace {

// The widest instruction set this processor has, or the narrower one that EASTING_ISA names.
enum class Isa { baseline, avx2, avx512 };
constexpr const char* isa_names[] = {"baseline", "avx2", "avx512"};

Isa choose_isa() {
  Isa best = Isa::baseline;
#ifdef EASTING_HAS_X86_VARIANTS
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) best = Isa::avx2;
  if (best == Isa::avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
    best = Isa::avx512;
  if (const char* wanted = std::getenv("EASTING_ISA"))
    for (Isa isa : {Isa::baseline, Isa::avx2})
      if (isa < best && std::strcmp(wanted, isa_names[static_cast<int>(isa)]) == 0) return isa;
#endif
  return best;
}

const Isa isa = choose_isa();

// A line of kernels.def as JavaScript calls it.
struct Entry {
  const char* name;
  void (*kernel)();
};

struct Environment {
  Buffers buffers;
  std::deque<Entry> entries;
#ifdef EASTING_CUDA
  struct Captured {
    std::shared_ptr<cuda::Graph> graph;
    int pool;
  };
  std::map<int, Captured> graphs;  // by the number of their pool
#endif
};

Environment& environment(Napi::Env env) { return *env.GetInstanceData<Environment>(); }

#ifndef EASTING_CUDA
constexpr const char* no_cuda =
    "this build of the addon has no CUDA backend; rebuild with EASTING_CUDA=ON where nvcc is installed";
#endif
constexpr std::int64_t most_bytes = std::int64_t{1} << 53;  // what a JavaScript number counts exactly

Device device_from(const Napi::Value& value) {
  const auto device = static_cast<Device>(whole_from(value, 0, 1));
#ifndef EASTING_CUDA
  if (device == Device::cuda) throw std::invalid_argument(std::string("memory: expected the device cpu, got cuda: ") + no_cuda);
#endif
  return device;
}

std::size_t offset_from(const Napi::Value& value) { return static_cast<std::size_t>(whole_from(value, 0, most_bytes)); }

Napi::Value alloc(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const Device device = device_from(info[0]);
    const auto type = static_cast<Type>(whole_from(info[1], 0, 4));
    if (Argument<double>::from(info[2]) > static_cast<double>(most_bytes / 8)) throw std::bad_alloc();
    const std::int64_t size = whole_from(info[2], 0, most_bytes / 8);
    return Napi::Number::New(info.Env(), environment(info.Env()).buffers.add(device, type, size));
  });
}

Napi::Value free_buffer(const Napi::CallbackInfo& info) {
  return guarded(info, [&] {
    environment(info.Env()).buffers.remove(Argument<double>::from(info[0]));
    return info.Env().Undefined();
  });
}

struct HostBytes {
  std::byte* data;
  std::size_t size;
};
HostBytes host_bytes(const Napi::Value& value) {
  if (!value.IsTypedArray()) throw std::invalid_argument("memory: expected a typed array");
  const auto array = value.As<Napi::TypedArray>();
  return {static_cast<std::byte*>(array.ArrayBuffer().Data()) + array.ByteOffset(), array.ByteLength()};
}
std::byte* buffer_bytes(Buffer& buffer, std::size_t offset, std::size_t size) {
  const std::size_t capacity = buffer.size * type_bytes[static_cast<int>(buffer.type)];
  if (offset > capacity || size > capacity - offset)
    throw std::invalid_argument("memory: expected at most " + std::to_string(capacity) + " bytes, got " +
                                std::to_string(offset + size));
  return static_cast<std::byte*>(buffer.data) + offset;
}

// upload(handle, typed array, byte offset): the data is copied now, and written in its turn.
Napi::Value upload(const Napi::CallbackInfo& info) {
  return guarded(info, [&] {
    Buffer& buffer = environment(info.Env()).buffers.find(Argument<double>::from(info[0]));
    const HostBytes host = host_bytes(info[1]);
    std::byte* target = buffer_bytes(buffer, offset_from(info[2]), host.size);
    auto copy = std::make_shared<std::vector<std::byte>>(host.data, host.data + host.size);
    const Device device = buffer.device;
    enqueue([copy, target, device] {
#ifdef EASTING_CUDA
      if (device == Device::cuda) {
        if (const void* kept = cuda::retain(copy->data(), copy->size()))
          return cuda::copy_from_host(target, kept, copy->size());
        return cuda::upload(target, copy->data(), copy->size());
      }
#endif
      (void)device;
      std::memcpy(target, copy->data(), copy->size());
    });
    return info.Env().Undefined();
  });
}

// What is held back for a graph has no results yet.
void expect_no_capture(const char* name) {
  if (holds_together()) throw std::logic_error(std::string(name) + ": expected no capture to be running, got one");
}

// download(handle, typed array, byte offset): waits for the queue, then fills the array.
Napi::Value download(const Napi::CallbackInfo& info) {
  return guarded(info, [&] {
    Buffer& buffer = environment(info.Env()).buffers.find(Argument<double>::from(info[0]));
    const HostBytes host = host_bytes(info[1]);
    const std::byte* source = buffer_bytes(buffer, offset_from(info[2]), host.size);
    expect_no_capture("download");
    synchronize();
#ifdef EASTING_CUDA
    if (buffer.device == Device::cuda) {
      cuda::download(host.data, source, host.size);
      return info.Env().Undefined();
    }
#endif
    std::memcpy(host.data, source, host.size);
    return info.Env().Undefined();
  });
}

using Bytes = std::shared_ptr<std::vector<std::byte>>;

// Calls callback(error or null, a copy of `bytes` if there are any) on the JavaScript thread once all work queued so far
// is done. An error is {code, message}.
void call_when_finished(const char* name, Napi::Value callback, Bytes bytes) {
  if (!callback.IsFunction()) throw std::invalid_argument(std::string(name) + ": expected a function to call");
  expect_no_capture(name);
  auto resolver = Napi::ThreadSafeFunction::New(callback.Env(), callback.As<Napi::Function>(), "easting", 0, 1);
  when_finished([resolver, bytes](std::exception_ptr exception) mutable {
    resolver.BlockingCall([exception, bytes](Napi::Env env, Napi::Function function) {
      if (env == nullptr) return;
      Napi::Value error = env.Null();
      if (exception) {
        const auto [code, message] = failure_of(exception);
        error = Napi::Object::New(env);
        error.As<Napi::Object>().Set("code", code);
        error.As<Napi::Object>().Set("message", message);
      }
      if (!bytes) return void(function.Call({error}));
      auto copy = Napi::ArrayBuffer::New(env, bytes->size());
      std::memcpy(copy.Data(), bytes->data(), bytes->size());
      function.Call({error, copy});
    });
    resolver.Release();
  });
}

// read(handle, callback): callback(error or null, the buffer's bytes after all work queued so far).
Napi::Value read(const Napi::CallbackInfo& info) {
  return guarded(info, [&] {
    const Buffer& buffer = environment(info.Env()).buffers.find(Argument<double>::from(info[0]));
    if (!info[1].IsFunction()) throw std::invalid_argument("read: expected a function to call");
    const auto bytes = std::make_shared<std::vector<std::byte>>(buffer.size * type_bytes[static_cast<int>(buffer.type)]);
    enqueue([bytes, source = buffer.data, device = buffer.device] {
#ifdef EASTING_CUDA
      if (device == Device::cuda) return cuda::read(bytes->data(), source, bytes->size());
#endif
      (void)device;
      std::memcpy(bytes->data(), source, bytes->size());
    });
    call_when_finished("read", info[1], bytes);
    return info.Env().Undefined();
  });
}

// copy(from, to): the bytes of one buffer to another of the same size, device and type.
Napi::Value copy(const Napi::CallbackInfo& info) {
  return guarded(info, [&] {
    Buffers& buffers = environment(info.Env()).buffers;
    const Buffer from = buffers.find(Argument<double>::from(info[0])), to = buffers.find(Argument<double>::from(info[1]));
    if (from.size != to.size || from.type != to.type || from.device != to.device)
      throw std::invalid_argument("copy: expected buffers of the same size, type and device");
    enqueue([from, to, bytes = from.size * type_bytes[static_cast<int>(from.type)]] {
#ifdef EASTING_CUDA
      if (from.device == Device::cuda) return cuda::copy(to.data, from.data, bytes);
#endif
      std::memcpy(to.data, from.data, bytes);
    });
    return info.Env().Undefined();
  });
}

#ifdef EASTING_CUDA
Environment::Captured& captured_from(const Napi::CallbackInfo& info) {
  auto& graphs = environment(info.Env()).graphs;
  const auto found = graphs.find(Argument<std::int32_t>::from(info[0]));
  if (found == graphs.end()) throw std::invalid_argument("graph: expected a live graph, got one that was freed");
  return found->second;
}

Napi::Value new_graph(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const int pool = new_pool();
    // Destroyed behind the work that still uses it.
    std::shared_ptr<cuda::Graph> graph(new cuda::Graph, [](cuda::Graph* graph) { enqueue([graph] { delete graph; }); });
    environment(info.Env()).graphs[pool] = {std::move(graph), pool};
    return Napi::Number::New(info.Env(), pool);
  });
}

// beginCapture(graph, part): what this thread queues until endCapture(graph) is noted down, not done.
Napi::Value begin_capture(const Napi::CallbackInfo& info) {
  return guarded(info, [&] {
    const auto& captured = captured_from(info);
    const int part = Argument<std::int32_t>::from(info[1]);
    begin_together();
    enqueue([graph = captured.graph, part] { graph->begin(part); });
    use_pool(captured.pool);
    return info.Env().Undefined();
  });
}

Napi::Value end_capture(const Napi::CallbackInfo& info) {
  return guarded(info, [&] {
    use_pool(0);
    enqueue([graph = captured_from(info).graph] { graph->end(); });
    end_together();
    return info.Env().Undefined();
  });
}

Napi::Value replay(const Napi::CallbackInfo& info) {
  return guarded(info, [&] {
    enqueue([graph = captured_from(info).graph, part = Argument<std::int32_t>::from(info[1])] { graph->replay(part); });
    return info.Env().Undefined();
  });
}

// mark(number): notes when the device comes to what is queued so far.
Napi::Value mark(const Napi::CallbackInfo& info) {
  return guarded(info, [&] {
    expect_no_capture("mark");
    enqueue([number = Argument<std::int32_t>::from(info[0])] { cuda::mark(number); });
    return info.Env().Undefined();
  });
}

// elapsed(from, to): waits for the queue, then gives the milliseconds between two marks.
Napi::Value elapsed(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const auto from = Argument<std::int32_t>::from(info[0]), to = Argument<std::int32_t>::from(info[1]);
    expect_no_capture("elapsed");
    synchronize();
    return Napi::Number::New(info.Env(), cuda::elapsed(from, to));
  });
}

Napi::Value free_graph(const Napi::CallbackInfo& info) {
  return guarded(info, [&] {
    const int pool = captured_from(info).pool;
    environment(info.Env()).graphs.erase(pool);
    end_pool(pool);
    return info.Env().Undefined();
  });
}
#endif

// finished(callback): callback(error or null).
Napi::Value finished(const Napi::CallbackInfo& info) {
  return guarded(info, [&] {
    call_when_finished("finished", info[0], nullptr);
    return info.Env().Undefined();
  });
}

Napi::Value wait(const Napi::CallbackInfo& info) {
  return guarded(info, [&] {
    expect_no_capture("wait");
    synchronize();
    return info.Env().Undefined();
  });
}

// randomBits(key, indices or null, Uint32Array): the words at the indices (or at 0, 1, 2 …) of a key; on this thread, now.
Napi::Value random_words(const Napi::CallbackInfo& info) {
  return guarded(info, [&] {
    const RandomKey key = Argument<RandomKey>::from(info[0]);
    const HostBytes out = host_bytes(info[2]);
    if (out.size % 4 != 0) throw std::invalid_argument("randomBits: expected room for whole words");
    auto* words = reinterpret_cast<std::uint32_t*>(out.data);
    const std::size_t n = out.size / 4;
    if (info[1].IsNull()) {
      for (std::size_t i = 0; i < n; i += 4) {
        const Random4 four = random4(key, i / 4);
        for (std::size_t j = i; j < n && j < i + 4; ++j) words[j] = four.v[j - i];
      }
    } else {
      const HostBytes positions = host_bytes(info[1]);
      if (positions.size != out.size) throw std::invalid_argument("randomBits: expected as many indices as words");
      const auto* indices = reinterpret_cast<const std::uint32_t*>(positions.data);
      for (std::size_t i = 0; i < n; ++i) words[i] = random_bits(key, indices[i]);
    }
    return info.Env().Undefined();
  });
}

Napi::Value memory_counts(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const MemoryCount counts = count(device_from(info[0]));
    auto result = Napi::Object::New(info.Env());
    result.Set("live", static_cast<double>(counts.live));
    result.Set("peak", static_cast<double>(counts.peak));
    result.Set("reserved", static_cast<double>(counts.reserved));
    return result;
  });
}

Napi::Value busy(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), busy_seconds()); }

Napi::Value trim_memory(const Napi::CallbackInfo& info) {
  return guarded(info, [&] {
    synchronize();
    trim(device_from(info[0]));
    return info.Env().Undefined();
  });
}

Napi::Value threads(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    if (!info[0].IsUndefined()) set_thread_count(static_cast<int>(whole_from(info[0], 1, 1024)));
    return Napi::Number::New(info.Env(), thread_count());
  });
}

// devices(gpu or undefined): what there is, and whether that GPU (or the one chosen) can be used.
Napi::Value devices(const Napi::CallbackInfo& info) {
  auto result = Napi::Object::New(info.Env());
  result.Set("isa", isa_names[static_cast<int>(isa)]);
#ifdef EASTING_CUDA
  const cuda::Status status =
      cuda::status(info[0].IsNumber() ? info[0].As<Napi::Number>().Int32Value() : cuda::chosen());
  result.Set("gpu", cuda::chosen());
  result.Set("cudaBuilt", true);
  result.Set("cudaReason", status.reason);
  auto names = Napi::Array::New(info.Env());
  for (std::size_t i = 0; i < status.devices.size(); ++i) names.Set(i, status.devices[i]);
  result.Set("cudaDevices", names);
#else
  result.Set("gpu", 0);
  result.Set("cudaBuilt", false);
  result.Set("cudaReason", no_cuda);
  result.Set("cudaDevices", Napi::Array::New(info.Env()));
#endif
  return result;
}

// chooseGpu(index): the one that this process computes on; an error once it computes on another.
Napi::Value choose_gpu(const Napi::CallbackInfo& info) {
  return guarded(info, [&] {
    [[maybe_unused]] const auto gpu = static_cast<int>(whole_from(info[0], 0, 1 << 16));
#ifdef EASTING_CUDA
    cuda::choose(gpu);
#endif
    return info.Env().Undefined();
  });
}

#ifdef EASTING_CUDA
// libraries(): NVIDIA's, with file and version, or why there is none.
Napi::Value libraries(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    auto list = Napi::Array::New(info.Env());
    for (const auto& [name, file, version, reason] : cuda::libraries()) {
      auto library = Napi::Object::New(info.Env());
      library.Set("name", name);
      library.Set("file", file);
      library.Set("version", version);
      library.Set("reason", reason);
      list.Set(list.Length(), library);
    }
    return list;
  });
}

// useLibraries(cusparse): takes cuBLAS into use if there is one, and cuSPARSE if asked. Waits until it is done.
Napi::Value use_libraries(const Napi::CallbackInfo& info) {
  return guarded(info, [&] {
    expect_no_capture("useLibraries");
    enqueue([cusparse = Argument<bool>::from(info[0])] {
      cuda::use_cublas();
      if (cusparse) cuda::use_cusparse();
    });
    synchronize();
    return info.Env().Undefined();
  });
}
#endif

// Adds a function that converts its arguments and leaves the kernel to the queue.
template <Device device, class... A>
void bind(Napi::Object& kernels, const char* name, void (*kernel)(A...)) {
  const auto call = [](const Napi::CallbackInfo& info) {
    return guarded(info, [&] {
      device_of_kernel = device;
      if (info.Length() != sizeof...(A))
        throw std::invalid_argument("kernel: expected " + std::to_string(sizeof...(A)) + " arguments, got " +
                                    std::to_string(info.Length()));
      std::size_t i = 0;
      // Braces fix the order in which the arguments are read.
      auto arguments = std::tuple<A...>{Argument<A>::from(info[i++])...};
      enqueue([entry = static_cast<const Entry*>(info.Data()), arguments] {
#ifdef EASTING_CUDA
        if constexpr (device == Device::cuda) cuda::name_kernel(entry->name);
#endif
        std::apply(reinterpret_cast<void (*)(A...)>(entry->kernel), arguments);
      });
      return info.Env().Undefined();
    });
  };
  auto& entries = environment(kernels.Env()).entries;
  entries.push_back({name, reinterpret_cast<void (*)()>(kernel)});
  kernels.Set(name, Napi::Function::New(kernels.Env(), call, name, &entries.back()));
}

template <class Kernel>
Kernel pick(Kernel baseline, [[maybe_unused]] Kernel avx2, [[maybe_unused]] Kernel avx512) {
  return isa == Isa::avx512 ? avx512 : isa == Isa::avx2 ? avx2 : baseline;
}

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  env.SetInstanceData(new Environment);
  // Queued kernels hold plain pointers into this environment's buffers: finish them before the buffers go.
  env.AddCleanupHook([] {
    try {
      synchronize();
    } catch (const std::exception&) {
    }
    finish_calls();
  });

  auto kernels = Napi::Object::New(env);
  const auto add_device = [&](const char* device, auto bind_all) {
    auto f32 = Napi::Object::New(env), bf16 = Napi::Object::New(env), f64 = Napi::Object::New(env);
    bind_all(f32, bf16, f64);
    auto types = Napi::Object::New(env);
    types.Set("f32", f32);
    types.Set("bf16", bf16);
    types.Set("f64", f64);
    kernels.Set(device, types);
  };
#ifdef EASTING_HAS_X86_VARIANTS
#define PICK(type, name) pick(&baseline_##type::name, &avx2_##type::name, &avx512_##type::name)
#else
#define PICK(type, name) &baseline_##type::name
#endif
// A kernel whose arguments are the same in f32 and bf16 reads and writes no activation: there is only the one for f32.
#define BIND(device, name, f32_kernel, bf16_kernel, f64_kernel)              \
  bind<device>(f32, #name, f32_kernel);                                      \
  if constexpr (std::is_same_v<decltype(f32_kernel), decltype(bf16_kernel)>) \
    bind<device>(bf16, #name, f32_kernel);                                   \
  else                                                                       \
    bind<device>(bf16, #name, bf16_kernel);                                  \
  bind<device>(f64, #name, f64_kernel);
  add_device("cpu", [](auto& f32, auto& bf16, auto& f64) {
#define KERNEL(name, arguments) BIND(Device::cpu, name, PICK(f32, name), PICK(bf16, name), &baseline_f64::name)
#include "kernels.def"
#undef KERNEL
  });
#ifdef EASTING_CUDA
  add_device("cuda", [](auto& f32, auto& bf16, auto& f64) {
#define KERNEL(name, arguments) BIND(Device::cuda, name, &cuda_f32::name, &cuda_bf16::name, &cuda_f64::name)
#include "kernels.def"
#include "cuda/kernels.def"
#undef KERNEL
  });
#endif
#undef BIND
  auto signatures = Napi::Object::New(env);
#define KERNEL(name, arguments) signatures.Set(#name, #arguments);
#include "kernels.def"
#undef KERNEL
#ifdef EASTING_CUDA
  auto cuda_signatures = Napi::Object::New(env);
#define KERNEL(name, arguments) cuda_signatures.Set(#name, #arguments);
#include "cuda/kernels.def"
#undef KERNEL
  exports.Set("cudaSignatures", cuda_signatures);
#endif
  exports.Set("kernels", kernels);
  exports.Set("signatures", signatures);
  const auto add = [&](const char* name, Napi::Value (*function)(const Napi::CallbackInfo&)) {
    exports.Set(name, Napi::Function::New(env, function, name));
  };
  add("alloc", alloc);
  add("free", free_buffer);
  add("upload", upload);
  add("download", download);
  add("read", read);
  add("copy", copy);
#ifdef EASTING_CUDA
  add("newGraph", new_graph);
  add("beginCapture", begin_capture);
  add("endCapture", end_capture);
  add("replay", replay);
  add("freeGraph", free_graph);
  add("mark", mark);
  add("elapsed", elapsed);
  add("libraries", libraries);
  add("useLibraries", use_libraries);
#endif
  add("finished", finished);
  add("wait", wait);
  add("randomBits", random_words);
  add("memory", memory_counts);
  add("trim", trim_memory);
  add("busy", busy);
  add("threads", threads);
  add("devices", devices);
  add("chooseGpu", choose_gpu);
  inference::add_functions(exports, {PICK(f32, run_rows_f32), PICK(f32, run_rows_i32),
                                    PICK(f32, write_bytes_f32), PICK(f32, write_bytes_i32)});
#undef PICK
  return exports;
}

}  // namespace

Buffers& buffers_of(Napi::Env env) { return environment(env).buffers; }

Failure failure_of(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const OutOfMemory& full) {
    return {"EASTING_OUT_OF_MEMORY", full.what()};
  } catch (const std::bad_alloc&) {
#ifdef EASTING_CUDA
    // A kernel found no room for its own use. What is cached goes back, so that a smaller step finds some.
    try {
      synchronize();
    } catch (const std::exception&) {
    }
    trim(Device::cuda);
#endif
    return {"EASTING_OUT_OF_MEMORY", "memory: expected room for a buffer, got none; use a smaller batch or free tensors"};
  } catch (const std::invalid_argument& invalid) {
    return {"EASTING_INVALID", invalid.what()};
  } catch (const std::exception& other) {
    return {"EASTING_KERNEL", other.what()};
  }
}

}  // namespace easting

static Napi::Object easting_init(Napi::Env env, Napi::Object exports) { return easting::initialize(env, exports); }
NODE_API_MODULE(easting, easting_init)
