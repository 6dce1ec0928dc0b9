"""The network as a file writes it, and the architecture it resolves to: every layer of every side spelled out."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, GetJsonSchemaHandler, PositiveInt, ValidationError
from pydantic_core import CoreSchema

from paribus.errors import suggestion
from paribus.parts import (
    REFERENCE,
    AnyFeedforward,
    AnyInitialisation,
    AnyMixer,
    AnyNorm,
    AnyPosition,
    Part,
    Strict,
    default,
)
from paribus.spec.override import Complaint, Open, Partial, PartOf, Path, Shaped, Slot, Tree, replaced, slots

Family = Literal["encoder_decoder", "decoder", "encoder"]
SIDES_OF: dict[str, tuple[str, ...]] = {
    "encoder_decoder": ("encoder", "decoder"),
    "decoder": ("decoder",),
    "encoder": ("encoder",),
}


class Layer(Strict):
    """The fields of one layer."""

    mixer: AnyMixer = Field(
        default_factory=default("mixer", "attention"), description="how tokens exchange information"
    )
    norm: AnyNorm = Field(default_factory=default("norm", "layer"), description="how activations are normalised")
    norm_placement: Literal["post", "pre", "sandwich"] = Field(
        "post",
        description="post: norm(x + f(x)); pre: x + f(norm(x)); sandwich: x + norm(f(norm(x))); "
        "the last two with a norm at the end",
    )
    feedforward: AnyFeedforward = Field(
        default_factory=default("feedforward", "relu"), description="what happens to each token by itself"
    )
    residual: bool = Field(True, description="whether the input of a sublayer is added to its output")
    dropout: float = Field(0.1, ge=0, lt=1, description="on embeddings and on the outputs of sublayers")


class Side(Layer):
    """The fields that encoder and decoder may set apart from each other."""

    depth: PositiveInt = Field(2, le=1000, description="number of layers")
    position: AnyPosition = Field(
        default_factory=default("position", "sinusoidal"), description="how the order of the tokens is told"
    )


class Embeddings(Strict):
    tied: bool = Field(False, description="the target embedding is the readout")
    shared_vocabulary: bool = Field(False, description="one vocabulary and one matrix for source and target")
    scale: Literal["sqrt_width", 1] = Field("sqrt_width", description="factor on the embeddings")


class Readout(Strict):
    pooling: Literal["mean", "first", "last"] = Field("mean", description="how an encoder's output becomes one vector")


CROSS = PartOf("mixer", "attention", partial=True)


def _partial(model: type[Strict], side: str) -> Partial:
    fields: dict[str, Slot] = {
        name: PartOf(slot.family, slot.default, partial=True) if isinstance(slot, PartOf) else slot
        for name, slot in slots(model).items()
    }
    return Partial({**fields, "cross": CROSS} if side == "decoder" else fields)


class SideChanges(Shaped):
    """Marks what a file writes under `encoder` or `decoder`: changes of the block fields, for that side."""

    def __init__(self, side: str) -> None:
        self.side = side

    def slot(self) -> Slot:
        return _partial(Side, self.side)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {REFERENCE: f"side_{self.side}"}


class LayerChanges(Shaped):
    """Marks what a file writes under `layers.SIDE`: changes of the side's fields, for one layer each."""

    def __init__(self, side: str) -> None:
        self.side = side

    def slot(self) -> Slot:
        return Open(_partial(Layer, self.side))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "object", "additionalProperties": {REFERENCE: f"layer_{self.side}"}}


class Layers(Strict):
    """Fields of single layers: {0: {...}, last: {...}}."""

    encoder: Annotated[dict[str, Any], LayerChanges("encoder")] = Field({}, description="of the encoder")
    decoder: Annotated[dict[str, Any], LayerChanges("decoder")] = Field({}, description="of the decoder")


class Network(Side):
    """The network as written: block fields for both sides, and what single sides and layers change of them."""

    family: Family = Field("encoder_decoder", description="encoder_decoder, decoder or encoder")
    width: PositiveInt = Field(64, le=65_536, description="channels of a token")
    cross: AnyMixer | None = Field(None, description="how the decoder reads the encoder; null: as the decoder's mixer")
    causal: bool = Field(True, description="whether the decoder is kept from seeing later tokens")
    embeddings: Embeddings = Field(Embeddings(), description="of source and target tokens")
    initialisation: AnyInitialisation = Field(
        default_factory=default("initialisation", "xavier"), description="how weight matrices start"
    )
    readout: Readout = Field(Readout(), description="of the encoder family")
    encoder: Annotated[dict[str, Any], SideChanges("encoder")] = Field({}, description="block fields of the encoder")
    decoder: Annotated[dict[str, Any], SideChanges("decoder")] = Field({}, description="block fields of the decoder")
    layers: Layers = Field(Layers(), description="block fields of single layers")

    late: ClassVar[tuple[str, ...]] = ("cross",)

    @classmethod
    def settle(cls, tree: Tree, key: str, value: Any) -> Tree:
        """A change of one field of a followed cross-attention fixes the rest as followed."""
        partial = isinstance(value, Mapping) and "kind" not in value
        if key == "cross" and partial and tree.get("cross") is None:
            return {**tree, "cross": decoder_cross(tree)}
        return tree


class ResolvedLayer(Layer):
    cross: AnyMixer | None = None


class Stack(Strict):
    """One side, spelled out."""

    position: AnyPosition
    causal: bool
    final_norm: AnyNorm | None  # where layers leave their sums as they are
    dropout: float
    layers: list[ResolvedLayer]

    def reads_ahead(self) -> bool:
        """Whether any mixer could see later tokens."""
        return any(getattr(layer.mixer, "reads_ahead", True) for layer in self.layers)

    def leaking(self) -> bool:
        """Whether later tokens are seen where they should not be."""
        return not self.causal and self.reads_ahead()


class Architecture(Strict):
    """A network with nothing left to follow: what is built, counted, hashed and compared."""

    family: Family
    width: PositiveInt
    embeddings: Embeddings
    initialisation: AnyInitialisation
    readout: Readout | None
    encoder: Stack | None
    decoder: Stack | None

    def stacks(self) -> dict[str, Stack]:
        return {name: stack for name, stack in (("encoder", self.encoder), ("decoder", self.decoder)) if stack}

    def parts(self) -> Iterator[tuple[str, Part]]:
        """Every part of the network with the path of its role, those inside other parts too."""
        for side, stack in self.stacks().items():
            yield from _with_inner(f"{side}.position", stack.position)
            if stack.final_norm is not None:
                yield from _with_inner(f"{side}.final_norm", stack.final_norm)
            for index, layer in enumerate(stack.layers):
                for name in ("mixer", "cross", "norm", "feedforward"):
                    part = getattr(layer, name)
                    if part is not None:
                        yield from _with_inner(f"{side}.{index}.{name}", part)
        yield "initialisation", self.initialisation


def _with_inner(path: str, part: Part) -> Iterator[tuple[str, Part]]:
    yield path, part
    for name in type(part).model_fields:
        inner = getattr(part, name)
        if isinstance(inner, Part):
            yield from _with_inner(f"{path}.{name}", inner)


class Unresolved(Exception):
    """The sides or layers of a network say something wrong; carries every complaint with its path as written."""

    def __init__(self, complaints: Iterable[Complaint]) -> None:
        self.complaints = tuple(complaints)
        super().__init__(self.complaints)


def decoder_cross(tree: Tree) -> Tree:
    """The cross-attention of the decoder side of a written network."""
    side = _side(tree, "decoder")
    cross: Tree = side["cross"]
    return cross


def frozen_cross(tree: Tree, start: Tree) -> Tree:
    """An arm's network whose decoder no longer attends keeps the cross-attention that it started from."""
    followed = tree.get("cross") is None and tree["decoder"].get("cross") is None
    if followed and _kind(_side(tree, "decoder")["mixer"]) != "attention":
        return {**tree, "cross": decoder_cross(start)}
    return tree


def _kind(part: Any) -> Any:
    return part.get("kind") if isinstance(part, Mapping) else part


def _followed(mixer: Any) -> Tree:
    """What a cross-attention is when it follows a mixer."""
    return (
        {**mixer, "window": None}
        if _kind(mixer) == "attention"
        else replaced(None, PartOf("mixer", "attention"), "attention")
    )


def _side(tree: Tree, side: str) -> Tree:
    """The fields of a side: the block fields with the side's changes."""
    shape = _partial(Side, side)
    written = {key: value for key, value in tree[side].items() if value is not None and key in shape.fields}
    fields = {name: replaced(tree[name], _whole(slot), written[name]) if name in written else tree[name]
              for name, slot in shape.fields.items() if name != "cross"}  # fmt: skip
    if side == "decoder":
        block = tree.get("cross")
        base = block if block is not None else _followed(fields["mixer"])
        fields["cross"] = replaced(base, _whole(CROSS), written["cross"]) if "cross" in written else base
    return fields


def _whole(slot: Slot) -> Slot:
    return PartOf(slot.family, slot.default) if isinstance(slot, PartOf) else slot


def _layer(tree: Tree, side: str, fields: Tree, written: Mapping[str, Any]) -> Tree:
    """The fields of a layer: those of its side with the layer's changes."""
    shape = _partial(Layer, side)
    written = {key: value for key, value in written.items() if value is not None and key in shape.fields}
    layer = {name: replaced(fields[name], _whole(slot), written[name]) if name in written else fields[name]
             for name, slot in shape.fields.items() if name != "cross"}  # fmt: skip
    if side == "decoder":
        follows = tree.get("cross") is None and tree["decoder"].get("cross") is None and "mixer" in written
        base = _followed(layer["mixer"]) if follows and _kind(layer["mixer"]) == "attention" else fields["cross"]
        layer["cross"] = replaced(base, _whole(CROSS), written["cross"]) if "cross" in written else base
    return layer


def resolve(network: Network) -> Architecture:
    """Every layer of every side that the family has, spelled out; raises Unresolved."""
    tree = network.model_dump()
    complaints = list(_unknown(tree))
    stacks = {}
    for side in SIDES_OF[network.family]:
        try:
            stacks[side] = _stack(network, tree, side)
        except Unresolved as error:
            complaints += error.complaints
    if complaints:
        raise Unresolved(complaints)
    return Architecture(
        family=network.family,
        width=network.width,
        embeddings=network.embeddings,
        initialisation=network.initialisation,
        readout=network.readout if network.family == "encoder" else None,
        encoder=stacks.get("encoder"),
        decoder=stacks.get("decoder"),
    )


def _stack(network: Network, tree: Tree, side: str) -> Stack:
    fields = _side(tree, side)
    complaints: list[Complaint] = []
    checked = _checked(Side, {key: value for key, value in fields.items() if key != "cross"}, (side,), complaints)
    if not isinstance(checked, Side):
        raise Unresolved(complaints)
    layers = []
    by_index = dict(_numbered(tree["layers"][side], checked.depth, side, complaints))
    for index in range(checked.depth):
        name, written = by_index.get(index, ("", {}))
        layer = _layer(tree, side, fields, written)
        if side == "decoder" and network.family != "encoder_decoder":
            layer["cross"] = None
        at = ("layers", side, name) if name else (side,)
        layers.append(_checked(ResolvedLayer, layer, at, complaints))
    if complaints:
        raise Unresolved(complaints)
    return Stack(
        position=checked.position,
        causal=side == "decoder" and network.causal,
        final_norm=None if checked.norm_placement == "post" else checked.norm,
        dropout=checked.dropout,
        layers=[layer for layer in layers if isinstance(layer, ResolvedLayer)],
    )


def _numbered(
    written: Mapping[str, Any], depth: int, side: str, complaints: list[Complaint]
) -> Iterator[tuple[int, tuple[str, Mapping[str, Any]]]]:
    """Which layer each key of `layers.SIDE` names."""
    taken: dict[int, str] = {}
    for name, fields in written.items():
        index = depth - 1 if name == "last" else int(name) if name.isdecimal() else -1
        if not 0 <= index < depth:
            places = f"0 to {depth - 1}, or last" if depth > 1 else "0 or last"
            complaints.append(Complaint(("layers", side, name), f"got layer {name}, needs {places}"))
        elif index in taken:
            complaints.append(Complaint(("layers", side, name), f"names the same layer as {taken[index]}"))
        elif not isinstance(fields, Mapping):
            complaints.append(Complaint(("layers", side, name), f"got {fields!r}, needs a mapping of block fields"))
        else:
            taken[index] = name
            yield index, (name, fields)


def _unknown(tree: Tree) -> Iterator[Complaint]:
    """Keys that a side or a layer does not have."""
    for side in ("encoder", "decoder"):
        yield from _unknown_in((side,), tree[side], _partial(Side, side))
        for name, fields in tree["layers"][side].items():
            if isinstance(fields, Mapping):
                yield from _unknown_in(("layers", side, name), fields, _partial(Layer, side))


def _unknown_in(at: Path, written: Mapping[str, Any], shape: Partial) -> Iterator[Complaint]:
    for key in written:
        if key not in shape.fields:
            yield Complaint((*at, key), f"unknown key{suggestion(key, shape.fields)}")


def _checked(model: type[Strict], fields: Tree, at: Path, complaints: list[Complaint]) -> Strict | None:
    from paribus.spec.wording import said

    try:
        return model.model_validate(fields)
    except ValidationError as error:
        for detail in error.errors():
            path = tuple(str(piece) for piece in detail["loc"])
            complaints.append(
                Complaint((*at, *path), said(detail, Side if model is ResolvedLayer else model, path, fields))
            )
        return None
