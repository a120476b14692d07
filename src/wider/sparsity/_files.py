"""Sparse nets in files whose size follows the non-zeros."""

import copy
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

import safetensors
import safetensors.torch
import torch
from jaxtyping import Bool
from torch import Tensor, nn

from wider.errors import InputError
from wider.files import write_whole
from wider.native import SparseLayer
from wider.randomness import default_generator_from
from wider.sparsity._convert import to_masked, to_native
from wider.sparsity._mask import Mask, is_sharded
from wider.sparsity._masked import masked_parameters, put_mask
from wider.sparsity._matrices import EXCLUDED

AnyModule = TypeVar("AnyModule", bound=nn.Module)

FORMAT, VERSION = "wider", 1
BITS_IN_BYTE = 8
SHORT = 2**16  # columns that 16 bits can name
COLUMN_TYPES = {"16": torch.uint16, "32": torch.int32}
VALUES, PLACES, COUNTS = "values", "places", "counts"


def save(module: nn.Module, path: Path | str) -> None:
    """Writes a net into one safetensors file, of sparse weights the non-zeros and their places.

    A place takes 16 bits, or a bit for every entry of the weight where that is less.

    Args:
        module: any net, masked or native; it is left as it was.
        path: of the file, which is there whole or not at all.

    Raises:
        InputError: the file cannot be written, or the net is sharded over several processes.

    Example:
        >>> save(net, "net.safetensors")
        >>> net = load("net.safetensors", lambda: MLP(80, in_features=784, num_classes=10))
    """
    if any(map(is_sharded, module.parameters())):
        raise InputError(
            "each process has a part of this net (FSDP): load its full state dict into a whole net "
            "and save that, as docs/recipes.md shows"
        )
    if any(isinstance(part, SparseLayer) for part in module.modules()):
        module = to_masked(copy.deepcopy(module))
    described, tensors = _described(module)
    content = safetensors.torch.save(tensors, {FORMAT: json.dumps(described)})
    try:
        write_whole(Path(path), content)
    except OSError as error:
        raise InputError(
            f"cannot write {str(path)!r} ({error.strerror}): choose another file"
        ) from error


def load(
    path: Path | str, net: AnyModule | Callable[[], AnyModule], *, native: bool = False
) -> AnyModule:
    """The net that `save` wrote.

    Nothing in the file is executed.

    Args:
        path: of the file.
        net: a plain net of the same architecture, which is filled in place, or a function that
            makes one.
        native: whether it computes natively (see `to_native`); masked otherwise.

    Returns:
        The net, sparse.

    Raises:
        InputError: the file is damaged, none of ours, of a later version, or of another
            architecture. A net that was given is then as it was.
    """
    described, tensors = _read(Path(path))
    with default_generator_from(0, "to be loaded"):
        module = net if isinstance(net, nn.Module) else net()
    masks, state = _unpacked(described, tensors, str(path))
    _check_fits(module, state, str(path))
    for name, mask in masks.items():
        parent, _, parameter = name.rpartition(".")
        owner = module.get_submodule(parent)
        put_mask(owner, parameter, mask.to(getattr(owner, parameter).device))
    module.load_state_dict(state)
    for name, part in module.named_modules():
        if marks := described["excluded"].get(name):
            setattr(part, EXCLUDED, frozenset(marks))
    return cast(AnyModule, to_native(module) if native else module)


def _described(module: nn.Module) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What a net consists of: what is not a tensor, and the tensors, each once."""
    described: dict[str, Any] = {"version": VERSION, "sparse": {}, "same": {}, "excluded": {}}
    tensors: dict[str, Tensor] = {}
    masks, names = _masks(module), {}
    state = module.state_dict()
    for name in masks:
        del state[_mask_name(name)]
    for name, tensor in state.items():
        whole = (tensor.untyped_storage().data_ptr(), tensor.storage_offset(), tuple(tensor.shape))
        if tensor.numel() and whole in names:
            described["same"][name] = names[whole]
            continue
        names[whole] = name
        here = tensor.detach().cpu()
        if name not in masks:
            tensors[name] = here.contiguous()
            continue
        kept = masks[name].mask.cpu()
        kind, parts = _packed(kept)
        described["sparse"][name] = {"shape": list(kept.shape), "places": kind}
        parts[VALUES] = here[kept]
        tensors |= {f"{name}:{part}": each for part, each in parts.items()}
    for name, part in module.named_modules():
        if marks := getattr(part, EXCLUDED, None):
            described["excluded"][name] = sorted(marks)
    return described, tensors


def _masks(module: nn.Module) -> dict[str, Mask]:
    return {
        f"{name}.{parameter}".removeprefix("."): mask
        for name, part in module.named_modules(remove_duplicate=False)
        for parameter, mask in masked_parameters(part).items()
    }


def _mask_name(name: str) -> str:
    parent, _, parameter = name.rpartition(".")
    return f"{parent}.parametrizations.{parameter}.0.mask".removeprefix(".")


def _packed(mask: Bool[Tensor, "..."]) -> tuple[str, dict[str, Tensor]]:
    """The places of the non-zeros: a bit for each entry, or the columns of each row's."""
    flat = mask.flatten(1) if mask.dim() > 1 else mask[None]
    rows, row_length = flat.shape
    kept = int(torch.count_nonzero(flat))
    kind = "16" if row_length <= SHORT else "32"
    size = COLUMN_TYPES[kind].itemsize
    if size * kept + 4 * rows < flat.numel() / BITS_IN_BYTE:
        columns = flat.nonzero()[:, 1].to(COLUMN_TYPES[kind])
        return kind, {PLACES: columns, COUNTS: flat.sum(1).to(torch.int32)}
    missing = -flat.numel() % BITS_IN_BYTE
    bits = torch.nn.functional.pad(flat.reshape(-1), (0, missing)).view(-1, BITS_IN_BYTE)
    powers = 2 ** torch.arange(BITS_IN_BYTE)
    return "bits", {PLACES: (bits * powers).sum(1).to(torch.uint8)}


def _unpack(
    kind: str, shape: torch.Size, places: Tensor, counts: Tensor | None
) -> Bool[Tensor, "..."]:
    """The inverse of `_packed`; raises ValueError where it cannot be one."""
    rows = shape[0] if len(shape) > 1 else 1
    row_length = shape.numel() // max(1, rows)
    if kind == "bits":
        bits = (places[:, None] >> torch.arange(BITS_IN_BYTE, dtype=torch.uint8)) & 1
        if places.dtype != torch.uint8 or len(places) != -(-shape.numel() // BITS_IN_BYTE):
            raise ValueError
        return bits.reshape(-1)[: shape.numel()].bool().reshape(shape)
    if counts is None or places.dtype != COLUMN_TYPES[kind] or counts.shape != (rows,):
        raise ValueError
    columns, each = places.long(), counts.long()
    in_range = bool((columns >= 0).all() & (columns < row_length).all() & (each >= 0).all())
    if not in_range or int(each.sum()) != len(columns):
        raise ValueError
    flat = torch.zeros(rows, row_length, dtype=torch.bool)
    flat[torch.repeat_interleave(torch.arange(rows), each), columns] = True
    if int(torch.count_nonzero(flat)) != len(columns):
        raise ValueError
    return flat.reshape(shape)


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            header = (file.metadata() or {}).get(FORMAT)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, safetensors.SafetensorError) as error:
        raise InputError(f"cannot read {str(path)!r} as a net: {error}") from error
    try:
        described = json.loads(header or "")
        version = described["version"]
        if version == VERSION and not _is_well_formed(described):
            raise ValueError
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{str(path)!r} is a safetensors file, but none that wider.save wrote: load it with "
            "load_state_dict, which a sparse net takes dense weights by, too"
        ) from error
    if version != VERSION:
        raise InputError(
            f"{str(path)!r} has version {version!r} of the format, and this wider reads "
            f"{VERSION}: update wider"
        )
    return described, tensors


def _is_well_formed(described: Mapping[str, Any]) -> bool:
    sparse, same, excluded = (described[part] for part in ("sparse", "same", "excluded"))
    if not all(isinstance(part, dict) for part in (sparse, same, excluded)):
        return False
    marks = list(excluded.values())
    names = [*same.values(), *(mark for each in marks if isinstance(each, list) for mark in each)]
    return all(isinstance(each, list) for each in marks) and all(
        isinstance(name, str) for name in names
    )


def _unpacked(
    described: Mapping[str, Any], tensors: Mapping[str, Tensor], path: str
) -> tuple[dict[str, Mask], dict[str, Tensor]]:
    """The masks of a file, one for tied weights, and the state dict of the dense net."""
    masks, state = {}, dict(tensors)
    for name, about in described["sparse"].items():
        try:
            places, values = state.pop(f"{name}:{PLACES}"), state.pop(f"{name}:{VALUES}")
            counts = state.pop(f"{name}:{COUNTS}", None)
            mask = _unpack(about["places"], torch.Size(about["shape"]), places, counts)
            state[name] = torch.zeros(mask.shape, dtype=values.dtype)
            state[name][mask] = values
        except (KeyError, IndexError, TypeError, ValueError, RuntimeError) as error:
            raise InputError(
                f"{path!r} is damaged: the places of {name!r} make no sense"
            ) from error
        masks[name] = Mask(mask)
    for name, other in described["same"].items():
        if other not in state:
            raise InputError(f"{path!r} is damaged: it lacks {other!r}, which {name!r} is, too")
        state[name] = state[other]
        if other in masks:
            masks[name] = masks[other]
    return masks, state


def _check_fits(module: nn.Module, state: Mapping[str, Tensor], path: str) -> None:
    wanted = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    there = {name: tuple(tensor.shape) for name, tensor in state.items()}
    if parametrised := [name for name in wanted if "parametrizations." in name]:
        raise InputError(
            f"the net that {path!r} is loaded into is sparse or parametrised already "
            f"({parametrised[0]!r}): give a plain one"
        )
    differing = [
        f"{name!r} is {there.get(name, 'missing')} in the file and {wanted.get(name, 'missing')} "
        "in the net"
        for name in [*wanted, *(name for name in there if name not in wanted)]
        if there.get(name) != wanted.get(name)
    ]
    if differing:
        more = f", and {len(differing) - 1} more differ" if len(differing) > 1 else ""
        raise InputError(f"{path!r} is of another architecture: {differing[0]}{more}")
