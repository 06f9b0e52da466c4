// loadModel, runModel and closeModel: networks as JavaScript holds them.
#include "addon.h"

#include <cstring>
#include <memory>
#include <utility>

#include "../binding.h"
#include "../cpu/queue.h"

namespace easting::inference {
namespace {

// How answers get to JavaScript: one function for all runs of a network, which keeps the process alive while any is under
// way. On JavaScript's thread, but for BlockingCall.
struct Answers {
  Napi::ThreadSafeFunction function;
  bool open = true;  // until JavaScript's environment ends
  int pending = 0;
};

// `model` is empty once closed. Runs that are queued hold both as well.
struct Handle {
  Handle(std::shared_ptr<Model> model, std::shared_ptr<Answers> answers)
      : model(std::move(model)), answers(std::move(answers)) {}
  ~Handle() { close(); }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  void close() {
    if (model && answers->open) answers->function.Release();
    model.reset();
  }
  std::shared_ptr<Model> model;
  std::shared_ptr<Answers> answers;
};

const Kernels* kernels = nullptr;  // the same for every environment

template <class T>
std::vector<T> records(const Napi::Object& from, const char* name) {
  const Napi::Value value = from.Get(name);
  if (!value.IsTypedArray()) throw std::invalid_argument(std::string("loadModel: expected a typed array as ") + name);
  const auto array = value.As<Napi::TypedArray>();
  if (array.ByteLength() % sizeof(T) != 0)
    throw std::invalid_argument(std::string("loadModel: expected whole records in ") + name);
  std::vector<T> result(array.ByteLength() / sizeof(T));
  if (!result.empty())
    std::memcpy(result.data(), static_cast<std::byte*>(array.ArrayBuffer().Data()) + array.ByteOffset(), array.ByteLength());
  return result;
}

std::int64_t number(const Napi::Object& from, const char* name) {
  return whole_from(from.Get(name), 1, std::int64_t{1} << 32);
}

Program program_from(const Napi::Object& from) {
  return {number(from, "pixel"),           number(from, "arena"),
          number(from, "imagePitch"),      records<std::uint32_t>(from, "image"),
          records<std::uint32_t>(from, "logits"), records<Step>(from, "steps"),
          records<Row>(from, "rows"),      records<Tap>(from, "taps"),
          records<Run>(from, "constantRuns"), records<Bits>(from, "constants")};
}

// loadModel({ channels, height, width, mean, std, zeros }, programs, answer) → handle
// answer(error message or "", logits [count][classes]) is called for each run, in order.
Napi::Value load(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    if (!info[0].IsObject() || !info[1].IsArray() || !info[2].IsFunction())
      throw std::invalid_argument("loadModel: expected a format, programs and a function to call");
    const auto format = info[0].As<Napi::Object>();
    ImageFormat image{number(format, "channels"), number(format, "height"), number(format, "width"),
                      records<float>(format, "mean"), records<float>(format, "std"),
                      records<std::int32_t>(format, "zeros")};
    const auto array = info[1].As<Napi::Array>();
    std::vector<Program> programs;
    for (std::uint32_t i = 0; i < array.Length(); ++i) programs.push_back(program_from(array.Get(i).As<Napi::Object>()));
    if (programs.empty()) throw std::invalid_argument("loadModel: expected at least one program");
    auto model = std::make_shared<Model>(*kernels, std::move(image), std::move(programs));
    auto answers = std::make_shared<Answers>();
    answers->function = Napi::ThreadSafeFunction::New(info.Env(), info[2].As<Napi::Function>(), "easting run", 0, 1,
                                                      [answers](Napi::Env) { answers->open = false; });
    answers->function.Unref(info.Env());
    auto handle = std::make_unique<Handle>(std::move(model), std::move(answers));
    return Napi::External<Handle>::New(info.Env(), handle.release(), [](Napi::Env, Handle* held) { delete held; });
  });
}

Handle& handle_from(const Napi::Value& value) {
  if (!value.IsExternal()) throw std::invalid_argument("runModel: expected a loaded model");
  Handle& handle = *value.As<Napi::External<Handle>>().Data();
  if (!handle.model) throw std::invalid_argument("runModel: expected an open model, got one that was closed");
  return handle;
}

// What a run takes along: the model, a copy of the images, which JavaScript may change meanwhile, and the logits.
struct Request {
  std::shared_ptr<Model> model;
  std::shared_ptr<Answers> answers;
  Pixels form;
  std::int64_t count;
  std::vector<std::byte> pixels;
  std::vector<Bits> logits;
  std::string error;
};

// Plain calls: those of a worker that is being ended fail, and an exception would find nobody to catch it.
void deliver(const Request& request, napi_env env, napi_value callback) {
  napi_value undefined, arguments[2];
  void* logits;
  const std::size_t bytes = request.logits.size() * sizeof(Bits);
  if (napi_get_undefined(env, &undefined) != napi_ok ||
      napi_create_string_utf8(env, request.error.data(), request.error.size(), &arguments[0]) != napi_ok ||
      napi_create_arraybuffer(env, bytes, &logits, &arguments[1]) != napi_ok)
    return;
  std::memcpy(logits, request.logits.data(), bytes);
  napi_call_function(env, undefined, callback, 2, arguments, nullptr);
}

// runModel(handle, pixels, form, count)
Napi::Value run(const Napi::CallbackInfo& info) {
  return guarded(info, [&] {
    const auto& [model, answers] = handle_from(info[0]);
    if (!info[1].IsTypedArray()) throw std::invalid_argument("runModel: expected a typed array");
    const auto array = info[1].As<Napi::TypedArray>();
    const auto form = static_cast<Pixels>(whole_from(info[2], 0, 2));
    const std::int64_t count = whole_from(info[3], 1, 1 << 20);
    const std::size_t bytes = form == Pixels::normalized ? sizeof(float) : 1;
    if (form == Pixels::normalized && model->image().integer())
      throw std::invalid_argument("runModel: expected bytes for a network in integers");
    if (array.ElementSize() != bytes || array.ElementLength() != static_cast<std::size_t>(count * model->image().size()))
      throw std::invalid_argument("runModel: expected the pixels of so many images");
    const auto* data = static_cast<const std::byte*>(array.ArrayBuffer().Data()) + array.ByteOffset();
    auto request = std::make_shared<Request>(Request{model, answers, form, count, {data, data + array.ByteLength()},
                                                     std::vector<Bits>(count * model->classes()), {}});
    if (answers->pending++ == 0) answers->function.Ref(info.Env());
    answers->function.Acquire();  // for the queue, whatever becomes of the handle
    enqueue([request]() mutable {
      try {
        request->model->run(request->pixels.data(), request->form, request->count, request->logits.data());
      } catch (const std::exception& error) {
        request->error = error.what();
      }
      request->model.reset();
      const auto answer = request->answers->function;
      answer.BlockingCall([request](Napi::Env env, Napi::Function callback) {
        if (env == nullptr) return;
        if (--request->answers->pending == 0) request->answers->function.Unref(env);
        deliver(*request, env, callback);
      });
      answer.Release();
    });
    return info.Env().Undefined();
  });
}

// closeModel(handle): frees the network once the runs that are queued are done. Closing twice is no error.
Napi::Value close(const Napi::CallbackInfo& info) {
  return guarded(info, [&] {
    if (!info[0].IsExternal()) throw std::invalid_argument("closeModel: expected a loaded model");
    info[0].As<Napi::External<Handle>>().Data()->close();
    return info.Env().Undefined();
  });
}

}  // namespace

void add_functions(Napi::Object exports, const Kernels& chosen) {
  static const Kernels of_this_processor = chosen;
  kernels = &of_this_processor;
  const auto add = [&](const char* name, Napi::Value (*function)(const Napi::CallbackInfo&)) {
    exports.Set(name, Napi::Function::New(exports.Env(), function, name));
  };
  add("loadModel", load);
  add("runModel", run);
  add("closeModel", close);
}

}  // namespace easting::inference
