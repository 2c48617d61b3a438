"""A second device that computes on the CPU: code runs on it as on a GPU, and a wrong device is an error.

`@on_second_device` runs a test in a child process, since PyTorch learns of a device for good. There
`local_device()` is `second:0`, whose tensors hold their content in CPU memory. Operations give real numbers,
and fail where a GPU would: tensors of two devices together (CPU scalars excepted), a CPU generator,
`numpy()`. More fails than on a GPU: indices on the CPU, which CUDA copies silently, and random numbers drawn
on the device, since this project draws all on the CPU. Autocast follows CUDA's rules, which are not the
CPU's.

A PyTorch without CUDA refuses fake CUDA tensors (FakeTensorMode) as soon as they are copied, indexed or
backpropagated, and their values cannot be read. What a second device does not show: kernels, their rounding,
memory and speed.
"""

import functools
import os
import traceback
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map
from torch.utils.backend_registration import _DummyBackendModule, _setup_privateuseone_for_python_backend

_ATEN = torch.ops.aten
_NAME = "second"
DEVICE = torch.device("cpu")
"""Becomes `second:0` in the child."""
_MOVES = {_ATEN._to_copy.default, _ATEN.copy_.default}
"""Operations that may meet two devices."""
_JOINS = {_ATEN.cat.default, _ATEN.stack.default}
"""Operations that take no CPU scalar among tensors on the device."""
_LOWER = "bmm mm matmul addmm baddbmm linear conv2d.default scaled_dot_product_attention"
_FP32 = (
    "layer_norm group_norm pow.Tensor_Scalar rsqrt exp log mse_loss l1_loss nll_loss cross_entropy_loss "
    "reciprocal softplus cosine_similarity norm.Scalar"
)
_FP32_UNLESS_SAID = "softmax.int log_softmax.int cumsum prod sum sum.dim_IntList"
_WIDEST = "cat stack index_put addcmul addcdiv"
"""What autocast does on CUDA with the operations used here (ATen/autocast_mode.h): computed in bf16; in fp32;
in fp32 unless the call names a type; in the widest type of the arguments."""


class WrongDevice(RuntimeError):
    """Tensors of two devices met, or random numbers were drawn on the device."""


class DeviceTensor(torch.Tensor):
    """A tensor on the second device; `content` is a tensor on the CPU."""

    content: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, content: Tensor) -> "DeviceTensor":
        made = torch.Tensor._make_wrapper_subclass(
            cls,
            content.shape,
            strides=content.stride(),
            storage_offset=content.storage_offset(),
            dtype=content.dtype,
            device=DEVICE,
        )
        made.content = content
        return made

    @classmethod
    def __torch_dispatch__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _compute(function, args, kwargs or {})

    def tolist(self) -> Any:
        """As on a GPU; PyTorch refuses it for subclasses."""
        return self.content.tolist()


class _Factories(TorchDispatchMode):
    """Catches what makes tensors out of nothing, as `torch.zeros(3, device=...)`."""

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _compute(function, args, kwargs or {})


def _compute(function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Run an operation on the contents; its results are where a GPU would leave them."""
    tensors = [each for each in tree_flatten((args, kwargs))[0] if isinstance(each, Tensor)]
    given = {id(each.content): each for each in tensors if isinstance(each, DeviceTensor)}
    asked = kwargs.get("device")
    on_device = torch.device(asked) == DEVICE if asked is not None else bool(given)

    others = [each for each in tensors if not isinstance(each, DeviceTensor)]
    strangers = [each for each in others if each.dim() or function in _JOINS]
    if given and strangers and function not in _MOVES:
        raise WrongDevice(f"{function} meets CPU tensors of shapes {[tuple(s.shape) for s in strangers]}")
    draws = torch.Tag.nondeterministic_seeded in function.tags and "dropout" not in str(function)
    if on_device and draws and "scaled_dot_product" not in str(function):
        raise WrongDevice(f"{function} draws random numbers on the device")

    # Of the kernels of attention the plain one: the others exist per device.
    if function is _ATEN._fused_sdp_choice.default:
        return 0

    args, kwargs = tree_map(lambda each: getattr(each, "content", each), (args, kwargs))
    if asked is not None:
        kwargs["device"] = torch.device("cpu")
    result = function(*args, **kwargs)

    # Copying in place returns the target, wherever the source is.
    if function is _ATEN.copy_.default:
        return given.get(id(result), result)
    return tree_map(lambda each: _placed(each, given) if on_device else each, result)


def _placed(value: Any, given: dict[int, DeviceTensor]) -> Any:
    """A result on the device; operations in place return what they were given."""
    if not isinstance(value, Tensor):
        return value
    return given[id(value)] if id(value) in given else DeviceTensor(value)


def on_second_device(test: Callable[..., None]) -> Callable[..., None]:
    """Decorator: run a test in a child process in which `local_device()` is the second device."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        receiving, sending = os.pipe()
        child = os.fork()
        if not child:
            _run_and_leave(functools.partial(test, *args, **kwargs), sending)

        os.close(sending)
        with os.fdopen(receiving, "rb") as pipe:
            failure = pipe.read().decode()
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code:
            pytest.fail(f"on the second device (exit code {code}):\n{failure}", pytrace=False)

    return run


def _run_and_leave(test: Callable[[], None], pipe: int) -> None:
    """In the child: run the test, send the traceback if it fails, and exit."""
    try:
        torch.set_num_threads(1)
        _register()

        # In this thread: the engine may have been started before there was a second device.
        with torch.autograd.set_multithreading_enabled(False), _Factories():
            test()
        os._exit(0)
    except BaseException:
        os.write(pipe, traceback.format_exc().encode()[-30_000:])
    finally:
        os._exit(1)


class _Module(_DummyBackendModule):
    """What PyTorch asks `torch.second`."""

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16]


def _register() -> None:
    """Give PyTorch a second device for the rest of this process, and make the project use it."""
    global DEVICE
    _setup_privateuseone_for_python_backend(_NAME, _Module())
    DEVICE = torch.device(_NAME, 0)
    for module in ("training.ranks", "model.load", "model.nano.loading", "judges.encoders", "pretrain.build"):
        mock.patch(f"unichar.{module}.local_device", lambda: DEVICE).start()

    # `torch.tensor` fills a CPU tensor, which the mode above moves; a parameter becomes a new object, since
    # it cannot change its Python type in place.
    torch._C._set_only_lift_cpu_tensors(True)
    torch.__future__.set_overwrite_module_params_on_conversion(True)

    _OTHERS.fallback(torch.library.fallthrough_kernel, "AutocastPrivateUse1")
    for names, rule in ((_LOWER, _lower), (_FP32, _fp32), (_FP32_UNLESS_SAID, _said), (_WIDEST, _widest)):
        for name in names.split():
            packet, _, overload = name.partition(".")
            function = getattr(getattr(_ATEN, packet), overload or "default")
            _LIBRARY.impl(function, functools.partial(_autocast, function, rule), "AutocastPrivateUse1")


_LIBRARY, _OTHERS = torch.library.Library("aten", "IMPL"), torch.library.Library("_", "IMPL")
_AUTOCAST = torch._C.DispatchKeySet(torch._C.DispatchKey.AutocastPrivateUse1)


def _autocast(function: Any, rule: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    with torch._C._ExcludeDispatchKeyGuard(_AUTOCAST):
        return function(*rule(args, kwargs), **kwargs)


def _cast(args: Any, dtype: torch.dtype) -> Any:
    """Floating-point tensors on the device in another type."""
    return tree_map(lambda each: each.to(dtype) if _is_cast(each) else each, args)


def _is_cast(value: Any) -> bool:
    return isinstance(value, DeviceTensor) and value.is_floating_point()


def _lower(args: Any, kwargs: dict[str, Any]) -> Any:
    return _cast(args, torch.bfloat16)


def _fp32(args: Any, kwargs: dict[str, Any]) -> Any:
    return _cast(args, torch.float32)


def _said(args: Any, kwargs: dict[str, Any]) -> Any:
    if kwargs.get("dtype") is None and _is_cast(args[0]):
        kwargs["dtype"] = torch.float32
    return args


def _widest(args: Any, kwargs: dict[str, Any]) -> Any:
    types = [each.dtype for each in tree_flatten(args)[0] if _is_cast(each)]
    return _cast(args, torch.float32) if torch.float32 in types else args
