// What the runner asks of libtorch and tch has no function for. Headers of the CPU half are enough:
// what is CUDA's own is reached through libtorch's general interfaces.

#include <ATen/Context.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/native_layer_norm_backward.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/util/Exception.h>

namespace {

constexpr auto CUDA = c10::DeviceType::CUDA;

// 0 where `work` ends, -1 where libtorch refuses.
template <typename Work>
int attempt(Work work) {
  try {
    work();
    return 0;
  } catch (...) {
    return -1;
  }
}

c10::DeviceAllocator& allocator() {
  at::globalContext().lazyInitDevice(CUDA);
  return *c10::getDeviceAllocator(CUDA);
}

// Memory that tensors hold, and all that the allocator has of the card.
auto statistics(int card) { return allocator().getDeviceStats(static_cast<c10::DeviceIndex>(card)); }

// oneDNN's matrix product in float32, an operation that libtorch has for its own compiler. On AMD's processors with
// AVX-512 alone, for which MKL has no kernels with it; none where libtorch was built without oneDNN.
const std::optional<c10::OperatorHandle>& onednn_linear() {
  static const auto operation = [] {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_is("amd") && __builtin_cpu_supports("avx512f") && at::hasMKLDNN())
      return c10::Dispatcher::singleton().findSchema({"mkldnn::_linear_pointwise", ""});
#endif
    return std::optional<c10::OperatorHandle>();
  }();
  return operation;
}

}  // namespace

extern "C" {

// Whether CUDA's convolutions and matrix products in float32 may round to TF32.
int runner_set_tf32(int allowed) {
  // libtorch announces another way to say it, which older versions have not.
  struct Silent : c10::WarningHandler {
    void process(const c10::Warning&) override {}
  } handler;
  c10::WarningUtils::WarningHandlerGuard guard(&handler);
  return attempt([&] {
    at::globalContext().setAllowTF32CuDNN(allowed != 0);
    at::globalContext().setAllowTF32CuBLAS(allowed != 0);
  });
}

// Whether any of them may.
int runner_tf32() {
  using at::Float32Backend;
  using at::Float32Op;
  auto allowed = [](Float32Op op) { return at::globalContext().float32Precision(Float32Backend::CUDA, op) == at::Float32Precision::TF32; };
  return allowed(Float32Op::CONV) || allowed(Float32Op::MATMUL) ? 1 : 0;
}

// Bytes that tensors may still take on a card, and all that it has.
int runner_memory(int card, uint64_t* free, uint64_t* total) {
  return attempt([&] {
    auto [unused, all] = allocator().getMemoryInfo(static_cast<c10::DeviceIndex>(card));
    auto stats = statistics(card);
    auto kept = stats.reserved_bytes[0].current - stats.allocated_bytes[0].current;
    *free = unused + (kept > 0 ? kept : 0);
    *total = all;
  });
}

// Bytes that tensors hold on a card now, and the most since `runner_reset_peak`.
int runner_allocated(int card, uint64_t* now, uint64_t* peak) {
  return attempt([&] {
    auto bytes = statistics(card).allocated_bytes[0];
    *now = bytes.current;
    *peak = bytes.peak;
  });
}

// The adjoint of a layer norm at inputs that are centred already, [.., m], for g: [K, .., m], with the inverse of their
// standard deviations, [.., 1]; weight, [m], may be null.
int runner_layer_norm_adjoint(const at::Tensor* g, const at::Tensor* centred, const at::Tensor* slope, const at::Tensor* weight,
                              at::Tensor** out) {
  return attempt([&] {
    auto m = g->size(-1);
    // Contiguous, since the kernel reads one number after the other of the slopes, whatever their strides.
    auto rows = [&](const at::Tensor& t, int64_t width) { return t.expand_as(g->narrow(-1, 0, width)).reshape({-1, width}).contiguous(); };
    auto w = weight == nullptr ? std::optional<at::Tensor>() : *weight;
    auto s = rows(*slope, 1);
    auto d = at::native_layer_norm_backward(g->reshape({-1, m}), rows(*centred, m), {m}, at::zeros_like(s), s, w, std::nullopt, {true, false, false});
    *out = new at::Tensor(std::get<0>(d).view(g->sizes()));
  });
}

// Whether `runner_onednn_linear` is there, and the faster product.
int runner_prefers_onednn() { return onednn_linear().has_value() ? 1 : 0; }

// x wᵀ for contiguous x: [.., in] and w: [out, in], by oneDNN.
int runner_onednn_linear(const at::Tensor* x, const at::Tensor* w, at::Tensor** out) {
  return attempt([&] {
    torch::jit::Stack stack{*x, *w, c10::IValue(), "none", c10::List<std::optional<at::Scalar>>(), ""};
    onednn_linear().value().callBoxed(&stack);
    *out = new at::Tensor(stack.at(0).toTensor());
  });
}

int runner_reset_peak(int card) {
  return attempt([&] { allocator().resetPeakStats(static_cast<c10::DeviceIndex>(card)); });
}
}
